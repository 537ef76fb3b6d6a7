"""Attributes have one spelling: `citadel/semconv.py` alone has their names as literals."""

import ast
import re
from pathlib import Path

from citadel import semconv

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"(gen_ai|rpc|error|exception|server|enduser|service|otel|citadel)(\.[a-z_]+)+")
FILES = frozenset({"citadel.db"})
"""Literals that only look like an attribute."""


def literals(tree: ast.AST) -> list[ast.Constant]:
    """Texts of a module that are neither a logger's name nor a part of an f-string."""
    apart: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            apart.update(id(each) for each in node.args if node.func.attr == "getLogger")
        elif isinstance(node, ast.JoinedStr):
            apart.update(map(id, ast.walk(node)))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart
    ]


def catalogued() -> set[str]:
    texts: set[str] = set()
    for path in (ROOT / "engine/telemetry/catalogue").glob("*.py"):
        texts |= {node.value for node in literals(ast.parse(path.read_text("utf-8")))}
    return texts


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


def test_names_of_attributes_are_spelt_in_one_place() -> None:
    metrics = catalogued()
    assert "citadel.commands" in metrics
    strays = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for folder in ("citadel", "engine")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "semconv.py" and "_pb2" not in path.name
        for node in literals(ast.parse(path.read_text("utf-8")))
        if NAME.fullmatch(node.value)
        and node.value not in metrics | FILES
        and not is_module(node.value)
    ]
    assert not strays


def test_constants_are_called_as_what_they_say() -> None:
    names = {k: v for k, v in vars(semconv).items() if k.isupper() and "." in v}
    assert names
    for constant, name in names.items():
        assert constant == name.replace(".", "_").upper().rstrip("_")
