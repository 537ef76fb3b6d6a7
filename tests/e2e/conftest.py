"""The real window on a virtual screen, operated from outside."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.screen import Screen


@pytest.fixture(scope="session")
def screen() -> Iterator[Screen]:
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            if os.environ.get("CI"):
                pytest.fail(f"{program} is not installed, and CI must run these tests")
            pytest.skip(f"{program} is not installed: `python3 bootstrap.py test` installs it")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x900x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    environment = {**os.environ, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
    try:
        yield Screen(f":{number}", environment)
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def folder_of_source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(40):
        (folder / f"module_{number}.py").write_text(
            f'"""Module {number} of the end-to-end test."""\n\n\n'
            f"def add(a, b):\n    if a > {number}:\n        return a\n    return a + b\n",
            encoding="utf-8",
        )
    return folder
