"""The catalogue against the source: what is emitted is in it, and what is in it is emitted."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.telemetry.catalogue import COUNTERS, DURATIONS, EVENTS, GAUGES

ENGINE = Path(__file__).parents[3] / "engine"
KINDS = {"event": EVENTS, "count": COUNTERS, "observe": DURATIONS}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(ENGINE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def emitted(kind: str) -> dict[str, str]:
    """The literal names that the source gives to a recorder, and where."""
    found: dict[str, str] = {}
    for path, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == kind
                and ast.unparse(node.func.value).endswith("recorder")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found[str(node.args[0].value)] = f"{path.name}:{node.lineno}"
    return found


def texts() -> set[str]:
    return {
        node.value
        for path, tree in trees()
        if path.parent.name != "catalogue"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_emitted_is_in_the_catalogue(kind: str) -> None:
    unknown = {name: where for name, where in emitted(kind).items() if name not in KINDS[kind]}
    assert unknown == {}


def test_what_is_in_the_catalogue_is_emitted() -> None:
    said = texts()
    made = {name for name in GAUGES if name.removeprefix("citadel.") in said}
    names = {*EVENTS, *COUNTERS, *DURATIONS, *GAUGES}
    assert names - said - made == set()


def test_each_entry_says_what_it_is() -> None:
    assert all(EVENTS.values())
    assert all(entry.help for table in (COUNTERS, DURATIONS, GAUGES) for entry in table.values())
    labels = {
        label for t in (COUNTERS, DURATIONS, GAUGES) for e in t.values() for label in e.labels
    }
    assert not labels & {"sentinel", "id", "command", "trace", "worker"}, "labels without bound"
