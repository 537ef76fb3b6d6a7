"""`citadel bridge`: without an engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.citadel.cli.conftest import Cli

MANIFEST = "version: 1\nlibraries: [{module: statistics, functions: ['m*']}]\n"


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bridge.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "module", ["numpy", "statistics", "json", "re", "math", "sqlite3", "collections"]
)
def test_inspect_shows_what_a_module_has(bare: Cli, module: str) -> None:
    said = bare("bridge", "inspect", module)
    assert said.code == 0
    assert said.out.split()[:5] == ["name", "what", "tier", "signature", "schema"]
    assert " names: " in said.err
    data = bare("bridge", "inspect", module, "--json", "--all").json
    assert data["module"] == module
    assert all(each["schema"] for each in data["names"] if each["tier"])
    assert sum(data["tiers"].values()) == sum(bool(each["tier"]) for each in data["names"])


def test_inspect_tells_tiers_hazards_and_members(bare: Cli) -> None:
    names = {
        row["name"]: row
        for row in bare("bridge", "inspect", "sqlite3", "--all", "--json").json["names"]
    }
    assert names["connect"]["note"] == "reads or writes files of the worker"
    assert names["Connection.in_transaction"]["role"] == "attribute"
    assert names["apilevel"]["role"] == "value"


def test_inspect_of_what_is_not_there_is_told_with_a_remedy(bare: Cli) -> None:
    said = bare("bridge", "inspect", "numppy")
    assert said.code == 1
    assert said.err.startswith("error: there is no module 'numppy'; did you mean 'numpy'? (Install")
    assert bare("bridge", "inspect", "numppy", "--json").json["error"]["type"] == "NotFound"


def test_inspect_keeps_what_a_library_prints_out_of_its_answer(
    bare: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "bridged_prints.py").write_text("print('hello')\ndef f(a): ...\n")
    said = bare("bridge", "inspect", "bridged_prints", "--json")
    assert [each["name"] for each in said.json["names"]] == ["f"]
    assert "hello" in said.err


def test_a_suggested_manifest_goes_into_generate(bare: Cli, manifest: Path) -> None:
    manifest.write_text(
        bare("bridge", "inspect", "collections", "--manifest").out, encoding="utf-8"
    )
    said = bare("bridge", "generate", "--out", "my_sdk.py", "--report", "coverage.md")
    assert said.code == 0, said.err
    assert "tools in my_sdk.py" in said.err
    text = (manifest.parent / "my_sdk.py").read_text(encoding="utf-8")
    assert "class MySdk(Remote):" in text
    assert "| collections | " in (manifest.parent / "coverage.md").read_text(encoding="utf-8")


def test_generate_without_a_file_shows_the_module(bare: Cli, manifest: Path) -> None:
    said = bare("bridge", "generate", str(manifest), "--sync", "--report", "c.json")
    assert "class Bridge(SyncRemote):" in said.out
    assert json.loads((manifest.parent / "c.json").read_text(encoding="utf-8"))["tools"] > 3
    assert bare("bridge", "generate", "--out", "no/such/folder.py").err.startswith(
        "error: cannot write no/such/folder.py"
    )


def test_lock_and_check(bare: Cli, manifest: Path) -> None:
    assert "there is no lock" in bare("bridge", "check").err
    assert bare("bridge", "lock").code == 0
    assert bare("bridge", "check").code == 0
    manifest.write_text(MANIFEST.replace("m*", "me*"), encoding="utf-8")
    said = bare("bridge", "check")
    assert said.code == 1
    assert said.out.splitlines() == ["- statistics.mode(data)", "- statistics.multimode(data)"]
    assert bare("bridge", "check", "--json").json["differences"] == said.out.splitlines()
    (manifest.parent / "bridge.lock").write_text("{}", encoding="utf-8")
    assert "cannot be read" in bare("bridge", "check").err


def test_a_wrong_manifest_is_told_with_its_line(bare: Cli, manifest: Path) -> None:
    manifest.write_text(MANIFEST.replace("functions", "function"), encoding="utf-8")
    said = bare("bridge", "check")
    assert said.code == 1
    assert "bridge.yaml:2: libraries[0].function: there is no such key" in said.err
    assert "'functions'" in said.err


def test_the_verb_is_light() -> None:
    code = (
        "import sys, citadel.cli.bridge\n"
        "sys.exit(', '.join({'grpc', 'pydantic', 'yaml'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
