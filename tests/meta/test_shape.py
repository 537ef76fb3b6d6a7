"""The tree keeps its shape: imports, names, sizes, and what may not be in it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("citadel", "engine", "app")
LONGEST_FILE = 400
LONGEST_FUNCTION = 50

# Generated files, and files whose length has a reason.
LONG_FILES: dict[str, str] = {
    "citadel/wire/messages.py": "generated",
}
LONG_FUNCTIONS: dict[str, str] = {
    "engine/telemetry/recorder.py:span": "a signature of fourteen lines; no step to take out",
    "app/views/bridge/keyfigures.py:key_figures": "one table, a tile an entry",
}


def sources(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "_pb2" not in path.name and "__pycache__" not in path.parts
    )


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_imports_run_one_way() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_packaging_folder_does_not_shadow_the_library() -> None:
    assert not (ROOT / "packaging" / "__init__.py").exists()


def test_lock_has_hashes_and_no_index_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.findall(r"^\S+==\S+", text, re.MULTILINE)
    hashed = re.findall(r"^\S+==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert pinned
    assert len(pinned) == len(hashed)


def test_lock_pins_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = list(project["project"]["dependencies"])
    for extra in ("engine", "desktop", "otel"):
        wanted += project["project"]["optional-dependencies"][extra]
    wanted += project["dependency-groups"]["dev"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    names = {re.split(r"[\[<>=!;~ ]", text)[0].lower() for text in wanted}
    assert names <= pinned, f"run `poe lock`: {sorted(names - pinned)}"


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    if name not in LONG_FILES:
        assert text.count("\n") <= LONGEST_FILE, "split it, or explain it in LONG_FILES"
    for node in functions(ast.parse(text)):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if f"{name}:{node.name}" not in LONG_FUNCTIONS:
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_no_rooms_without_a_name() -> None:
    banned = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert [path for path in sources(*PACKAGES) if path.name in banned] == []


@pytest.mark.parametrize("path", sources("app"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_window_never_nests_an_event_loop(path: Path) -> None:
    """`dialog.exec()` inside a coroutine kills other tasks under qasync: `open()` instead."""
    if path.name in {"main.py", "aio.py"}:
        return
    calls = [
        f"{path.name}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"exec", "exec_", "processEvents"}
    ]
    assert calls == []


def test_only_aio_knows_qasync_and_only_link_crosses_to_grpc() -> None:
    importers: dict[str, set[str]] = {"qasync": set(), "grpc": set(), "citadel.client": set()}
    for path in sources("app"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                for library, files in importers.items():
                    if name == library or name.startswith(library + "."):
                        files.add(str(path.relative_to(ROOT)))
    assert importers["qasync"] <= {"app/aio.py"}
    assert importers["grpc"] <= {"app/link.py"}
    assert importers["citadel.client"] <= {"app/link.py", "app/embed.py"}


def test_none_keeps_its_references() -> None:
    """PySide6 6.12.0 on Python < 3.12 loses one on each void call, and aborts in the end."""
    code = (
        "import sys\n"
        "from PySide6.QtCore import QObject\n"
        "thing = QObject()\n"
        "before = sys.getrefcount(None)\n"
        "for _ in range(5000): thing.setObjectName('x')\n"
        "sys.exit(abs(sys.getrefcount(None) - before) > 1000)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False)
    assert result.returncode == 0


def test_nothing_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    banned = re.compile(r"/work/|/root/|pypi\.org|pythonhosted|deb\.debian\.org|registry\.npmjs")
    found = [
        name
        for name in listed
        if name
        and Path(name).suffix in {".py", ".toml", ".md", ".lock", ".proto", ".cfg", ".yml", ""}
        and name != "tests/meta/test_shape.py"
        and banned.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))
    ]
    assert found == []
