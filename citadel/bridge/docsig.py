"""Signatures in docstrings, as C functions have them. Pure; evaluates nothing but literals.

For instance `hypot(*coordinates) -> value`, `log(x, [base=math.e])` and
`max(iterable, *[, default=obj, key=func])`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Literal

MAX_LENGTH = 2_000
"""Characters of a docstring that are looked at."""
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A parameter, as a docstring has it."""

    name: str
    kind: Literal["positional", "keyword", "args", "kwargs"]
    required: bool = True
    literal: bool = False
    default: Any = None
    text: str = ""


def parse(doc: str, name: str) -> tuple[Said, ...] | None:
    """The parameters that the first line tells; None when it tells none, or more than one way.

    `range(stop)` above `range(start, stop[, step])` says nothing that holds for both.
    """
    lines = doc[:MAX_LENGTH].strip().splitlines()
    if not name or not lines or not re.match(rf"(\w+\.)*{re.escape(name)}\(", lines[0]):
        return None
    if any(re.match(rf"(\w+\.)*{re.escape(name)}\(", line.strip()) for line in lines[1:3]):
        return None
    inside = _inside(" ".join(line.strip() for line in lines))
    return None if inside is None else _params(inside)


def of_c(target: Any) -> tuple[Said, ...] | None:
    """What a C function says of itself where it has a default that Python cannot read.

    Such a text is `($self, sql, parameters=<unrepresentable>, /)`; inspect.signature refuses it.
    """
    try:
        text = target.__text_signature__
    except Exception:  # noqa: BLE001 - an attribute may be any code of the library
        return None
    if not isinstance(text, str) or "<unrepresentable>" not in text:
        return None
    without = re.sub(r"\$\w+,? ?", "", text.replace("<unrepresentable>", "…"))
    return parse(f"f{without}", "f")


def _inside(text: str) -> str | None:
    """What is between the first parenthesis and the one that closes it."""
    start = text.index("(")
    depth = 0
    quote = ""
    for index in range(start, len(text)):
        sign = text[index]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : index]
    return None


def _params(inside: str) -> tuple[Said, ...] | None:
    """All by position but what follows a star.

    C functions whose docstring has no "/" mostly take no names; by position it always works.
    """
    found: list[Said] = []
    kind: Literal["positional", "keyword"] = "positional"
    for text, optional in _pieces(inside):
        if text == "/":
            continue
        if text == "*":
            kind = "keyword"
            continue
        if text in ("...", "…"):
            return None
        made = _param(text, kind, optional=optional)
        if made is None:
            return None
        if made.kind == "args":
            kind = "keyword"
        found.append(made)
    names = [each.name for each in found]
    return tuple(found) if len(set(names)) == len(names) else None


def _param(text: str, kind: Literal["positional", "keyword"], *, optional: bool) -> Said | None:
    stars = len(text) - len(text.lstrip("*"))
    name, equals, default = text.lstrip("*").partition("=")
    name = name.partition(":")[0].strip()
    if not _NAME.fullmatch(name) or stars > 2:
        return None
    if stars:
        return Said(name=name, kind="args" if stars == 1 else "kwargs", required=False)
    if not equals:
        return Said(name=name, kind=kind, required=not optional)
    try:
        value = ast.literal_eval(default.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return Said(name=name, kind=kind, required=False, text=default.strip())
    literal = value is None or type(value) in (bool, int, float, str)
    return Said(
        name=name,
        kind=kind,
        required=False,
        literal=literal,
        default=value if literal else None,
        text=default.strip(),
    )


def _pieces(inside: str) -> list[tuple[str, bool]]:
    """The parts between commas, and whether each is in square brackets: optional."""
    pieces: list[tuple[str, bool]] = []
    text, depth, nested, optional, quote = "", 0, 0, False, ""
    for index, sign in enumerate(f"{inside},"):
        if quote or sign in "'\"":
            quote = ("" if sign == quote else quote) or ("" if quote else sign)
            text += sign
            continue
        if sign == "[" and ("=" not in text or inside[index + 1 : index + 2] == ","):
            depth += 1
            if text.strip() == "":
                optional = True
            continue
        if sign == "]" and depth and not nested:
            depth -= 1
            continue
        nested += (sign in "([{") - (sign in ")]}")
        if sign == "," and nested == 0:
            if text.strip():
                pieces.append((text.strip(), optional))
            text, optional = "", depth > 0
            continue
        text += sign
    return pieces
