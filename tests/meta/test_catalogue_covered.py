"""Each entry of the catalogue is named by a test that makes it be emitted.

Read from the source, so that a part of the tests may be run: the `emits` marks, which
tests/emissions.py enforces, and what tests/integration/test_catalogue.py waits for.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from engine.telemetry.catalogue import COUNTERS, DURATIONS, EVENTS, GAUGES
from tests.integration.test_catalogue import WANTED

TESTS = Path(__file__).parents[1]
NAMES = {*EVENTS, *COUNTERS, *DURATIONS, *GAUGES}


def marked() -> Iterator[tuple[str, str]]:
    """Names in marks, and where."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.emits":
                for argument in node.args:
                    yield ast.literal_eval(argument), f"{path.name}:{node.lineno}"


def test_each_entry_is_emitted_in_a_test() -> None:
    assert NAMES - WANTED - {name for name, _ in marked()} == set()


def test_tests_name_only_what_there_is() -> None:
    assert [(name, where) for name, where in marked() if name not in NAMES] == []
