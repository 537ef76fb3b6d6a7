"""What is made of a surface: SDK, lock, report, survey."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from citadel.bridge import lock, report, sdk
from citadel.bridge.manifest import load
from citadel.bridge.surface import Surface, resolve
from citadel.bridge.survey import suggested, survey
from citadel.errors import BadConfig, NotFound

Resolve = Callable[[str], Surface]
ROOT = Path(__file__).resolve().parents[3]
RUFF = (sys.executable, "-m", "ruff", "format", "--isolated", "--check", "--diff")
WIDE = """
version: 1
libraries:
  - module: bridged_sample
    functions: ["*", {name: numbers, stream: true}]
    classes:
      - {name: Box, construct: true, methods: ["*"], attributes: [size]}
      - {name: Point, construct: true}
  - {module: numpy, functions: ["a*", "s*"]}
  - {module: numpy.linalg, functions: ["*"]}
  - {module: math, functions: ["*"]}
  - module: sqlite3
    functions: [connect]
    classes: [{name: Connection, methods: ["*"]}, {name: Cursor, methods: ["*"]}]
  - module: collections
    classes: [{name: Counter, construct: true, methods: ["*"]}]
  - module: random
    classes: [{name: Random, rename: Dice, construct: true, methods: ["*"]}]
  - {module: statistics, name: stats, functions: ["*"]}
  - {module: types, classes: [{name: SimpleNamespace, construct: true}, FunctionType]}
  - {module: typing, functions: [cast], classes: [Generic]}
"""


@pytest.mark.parametrize("sync", [False, True])
def test_the_sdk_is_as_the_formatter_and_the_type_checker_want_it(
    surface: Resolve, tmp_path: Path, sync: bool
) -> None:
    text = sdk.generate(surface(WIDE), "WideSdk", sync=sync)
    path = tmp_path / "wide_sdk.py"
    path.write_text(text, encoding="utf-8")
    for width in ("79", "88", "120"):
        done = subprocess.run(
            [*RUFF, "--line-length", width, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[:2000] + done.stderr
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(ROOT)]})
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "-p", str(tmp_path), "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_sdk_is_the_same_each_time_and_has_every_tool(surface: Resolve) -> None:
    found = surface(WIDE)
    text = sdk.generate(found, "WideSdk")
    assert text == sdk.generate(found, "WideSdk")
    said = {
        node.args[0].value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("call", "stream")
        and isinstance(node.args[0], ast.Constant)
    }
    assert said == set(found.tools)


def test_names_that_python_or_annotations_need_are_not_hidden(
    surface: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bridged_names.py").write_text(
        "def list(self, lambda_=1): ...\ndef dict(a, *args, **kwargs): ...\n"
        "class Any:\n    def str(self): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = sdk.generate(
        surface(
            "version: 1\nlibraries:\n  - module: bridged_names\n    functions: ['*']\n"
            "    classes: [{name: Any, construct: true, methods: [str]}]\n"
        ),
        "Names",
    )
    tree = ast.parse(text)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    methods = {n.name for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef)}
    assert classes == {"Any2", "BridgedNamesLibrary", "Names"}
    assert methods == {"list_", "dict_", "str_", "new_any"}


# ── lock ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_lock_is_compared_line_by_line(surface: Resolve) -> None:
    found = surface(WIDE)
    assert lock.differences(found) == []
    path = found.loaded.lock_path
    path.write_text(lock.text(found), encoding="utf-8")
    assert lock.differences(found) == []
    said = json.loads(path.read_text(encoding="utf-8"))
    said["libraries"]["numpy"] = "1.0.0"
    said["tools"]["bridged_sample.bare"] |= {"signature": "(first)", "sha256": "old"}
    del said["tools"]["stats.mean"]
    said["tools"]["stats.gone"] = said["tools"]["stats.median"]
    path.write_text(json.dumps(said), encoding="utf-8")
    lines = lock.differences(found)
    assert any(line.startswith("~ library numpy: 1.0.0 is locked, ") for line in lines)
    assert "- bridged_sample.bare(first) [signature]" in lines
    assert (
        "+ bridged_sample.bare(first, second=None, *rest, option='o', **more) [signature]" in lines
    )
    assert "+ stats.mean(data)" in lines
    assert "- stats.gone(data)" in lines
    assert len(lines) == 5


def test_many_differences_are_counted() -> None:
    tools = {
        f"t{number}": {"signature": "()", "tier": "hints", "sha256": "x"} for number in range(99)
    }
    lines = lock.compared({"libraries": {}, "tools": {}}, {"libraries": {}, "tools": tools})
    assert len(lines) == lock.MAX_DIFFERENCES + 1
    assert lines[-1] == "… and 59 more"


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"version": 2, "libraries": {}, "tools": {}}', "\\0"]
)
def test_a_lock_that_is_none(surface: Resolve, text: str) -> None:
    found = surface("version: 1\nlibraries: [{module: math}]")
    found.loaded.lock_path.write_text(text, encoding="utf-8")
    with pytest.raises(BadConfig, match="cannot be read"):
        lock.differences(found)


# ── report and survey ────────────────────────────────────────────────────────────────────────────


def test_the_report_counts_every_tool_once(surface: Resolve) -> None:
    found = surface(WIDE)
    said = report.covered(found)
    assert sum(said["tiers"].values()) == said["tools"] == len(found.tools)
    assert sum(len(each["tools"]) for each in said["libraries"]) == len(found.tools)
    sample = said["libraries"][0]
    assert {"name": "bridged_sample.SmallBox", "why": "a class that is not listed"} in sample[
        "left_out"
    ]
    assert json.loads(report.as_json(found)) == said
    text = report.as_markdown(found)
    assert "| numpy.linalg | " in text
    assert "- a class that is not listed (" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(found.tools)


@pytest.mark.parametrize(
    "module",
    ["numpy", "numpy.linalg", "statistics", "json", "re", "math", "sqlite3", "collections"],
)
def test_a_survey_suggests_a_manifest_that_works(module: str, tmp_path: Path) -> None:
    found = survey(module)
    assert all(row.schema for row in found.rows if row.tier)
    path = tmp_path / "bridge.yaml"
    path.write_text(suggested(found), encoding="utf-8")
    surface = resolve(load(path))
    plain = [each for each in found.rows if each.role == "function" and not each.note]
    assert {f"{module}.{each.name}" for each in plain} <= set(surface.tools)


def test_what_is_hazardous_is_noted_and_commented_out() -> None:
    found = survey("numpy")
    notes = {each.name: each.note for each in found.rows}
    assert notes["load"] == "reads or writes files of the worker"
    text = suggested(found)
    assert "      # - load  # reads" in text
    assert "load" not in [str(each) for each in yaml.safe_load(text)["libraries"][0]["functions"]]
    assert all(each.note for each in survey("os").rows if each.role == "function")


def test_a_survey_calls_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bridged_traps.py").write_text(
        "class Trap:\n"
        "    def __call__(self): raise SystemError\n"
        "    def __getattr__(self, name): raise AttributeError(name)\n"
        "    def __repr__(self): raise SystemError\n"
        "    def __eq__(self, other): raise SystemError\n"
        "    __hash__ = None\n"
        "    @property\n"
        "    def value(self): raise SystemError\n"
        "trap = Trap()\n"
        "def default(value=trap): raise SystemError\n"
        "async def waits(): raise SystemError\n"
        "def __getattr__(name): raise SystemError(name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = {each.name: each for each in survey("bridged_traps").rows}
    assert rows["default"].signature == "(value=…)"
    assert rows["trap"].role == "function"


def test_a_survey_of_what_is_not_there() -> None:
    with pytest.raises(NotFound, match="did you mean 'numpy'"):
        survey("numppy")
    with pytest.raises(NotFound, match=r"no module 'numpy\.nothing'"):
        survey("numpy.nothing")
