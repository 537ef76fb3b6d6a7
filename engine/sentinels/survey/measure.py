"""What a survey says of one file: pure functions of its bytes, standard library only.

- Cyclomatic complexity (McCabe 1976) of each function: 1 + its branches. Branches are `if`, `elif`,
  `for`, `while`, `except`, conditional expressions, comprehension `for` and `if`, each further
  operand of `and`/`or`, and `case` other than a bare wildcard. A nested function counts on its own;
  a lambda and a class body count to the function around them.
- Blocks: every run of BLOCK_LINES lines that are neither blank nor a comment, white space at the
  ends taken away, as a 64-bit hash with the numbers of its lines.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from typing import Any

BLOCK_LINES = 6
MAX_FILE_BYTES = 8 * 2**20
MAX_DOCSTRING = 2_000
_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class Complexity(ast.NodeVisitor):
    """Counts functions, classes and the branches of each function."""

    def __init__(self) -> None:
        self.functions: list[int] = []
        self.classes = 0
        self._stack: list[int] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes += 1
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._branch(len(node.values) - 1)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._branch(1 + len(node.ifs))
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        wildcard = isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None
        self._branch(0 if wildcard and node.guard is None else 1)
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        branches = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp)
        if isinstance(node, branches):
            self._branch(1)
        super().generic_visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        # Decorators, defaults and annotations run where the function is defined.
        for part in (*node.decorator_list, node.args, *([node.returns] if node.returns else [])):
            self.visit(part)
        self._stack.append(1)
        for statement in node.body:
            self.visit(statement)
        self.functions.append(self._stack.pop())

    def _branch(self, count: int) -> None:
        if self._stack:
            self._stack[-1] += count


def measure(data: bytes) -> dict[str, Any]:
    """The figures of one file's bytes.

    Raises:
        SyntaxError: the bytes are no Python source of this interpreter's version.
    """
    tree = ast.parse(data)
    visitor = Complexity()
    visitor.visit(tree)
    tokens = sum(
        token.type not in _NOT_CODE for token in tokenize.tokenize(io.BytesIO(data).readline)
    )
    text = decoded(data)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "lines": len(text.splitlines()),
        "code_tokens": tokens,
        "functions": len(visitor.functions),
        "classes": visitor.classes,
        "complexity_max": max(visitor.functions, default=0),
        "complexity_sum": sum(visitor.functions),
        "docstring": (ast.get_docstring(tree) or "")[:MAX_DOCSTRING],
        "blocks": blocks(text),
    }


def decoded(data: bytes) -> str:
    """The source as text, by its coding cookie or byte-order mark."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def blocks(text: str) -> list[list[int]]:
    """[hash, number of each line …] of every run of BLOCK_LINES code lines, numbers from 1."""
    code = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    ]
    return [
        [_hash(code[at : at + BLOCK_LINES]), *(number for number, _ in code[at : at + BLOCK_LINES])]
        for at in range(len(code) - BLOCK_LINES + 1)
    ]


def _hash(lines: list[tuple[int, str]]) -> int:
    text = "\n".join(line for _, line in lines)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def recount(data: bytes) -> dict[str, Any]:
    """Some of the figures, counted another way: what the critic compares with.

    A flat walk over all nodes, in which each branch goes up its parents to the function it is in.
    """
    tree = ast.parse(data)
    above: dict[ast.AST, tuple[ast.AST, str]] = {}
    counts: dict[ast.AST, int] = {}
    classes = 0
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            counts[node] = 1
        classes += isinstance(node, ast.ClassDef)
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:  # pyright: ignore[reportUnknownVariableType]
                if isinstance(child, ast.AST):
                    above[child] = (node, field)
    for node in above:
        if weight := _weight(node):
            at = node
            while at in above:
                at, field = above[at]
                if isinstance(at, _Function) and field == "body":
                    counts[at] += weight
                    break
    return {
        "sha256": hashlib.file_digest(io.BytesIO(data), "sha256").hexdigest(),
        "bytes": len(data),
        "functions": len(counts),
        "classes": classes,
        "complexity_max": max(counts.values(), default=0),
        "complexity_sum": sum(counts.values()),
    }


def _weight(node: ast.AST) -> int:
    match node:
        case ast.BoolOp(values=values):
            return len(values) - 1
        case ast.comprehension(ifs=conditions):
            return 1 + len(conditions)
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            return 0
        case (
            ast.If()
            | ast.For()
            | ast.AsyncFor()
            | ast.While()
            | ast.ExceptHandler()
            | ast.IfExp()
            | ast.match_case()
        ):
            return 1
        case _:
            return 0
