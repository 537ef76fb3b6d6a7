"""The command lines: no display is said, and the picture is drawn without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import main, options
from app.options import NO_DISPLAY


def test_without_a_display_it_says_so_and_names_the_render_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    if not sys.platform.startswith("linux"):
        pytest.skip("other systems always have a display")
    assert main.main([]) == NO_DISPLAY
    said = capsys.readouterr().err
    assert "no display" in said
    assert "app.render --view bridge --out" in said


def test_flags_become_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITADEL_TOKEN", "from the environment")
    given = options.parse(["--connect", "h:1", "--ca", "ca.pem", "--no-mission"])
    assert given.target.mode == "remote"
    assert given.target.tls
    assert given.target.token == "from the environment"
    assert not given.mission
    assert options.parse([]).target.mode == "embedded"


def test_nothing_slow_is_imported_before_the_window_is_there() -> None:
    code = (
        "import sys, app.main, app.room\n"
        "slow = {'grpc', 'pyqtgraph', 'keyring', 'openai', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(180)
def test_the_window_is_drawn_to_a_file_at_twice_the_size(tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    environment = {key: text for key, text in os.environ.items() if not key.startswith("QT_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "app.render",
            "--view",
            "fleet",
            "--theme",
            "light",
            "--seconds",
            "2",
            "--scale",
            "2",
            "--size",
            "1280x800",
            "--select",
            "worker",
            "--out",
            str(picture),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    assert "2560 × 1600" in done.stdout
    assert "to select" not in done.stderr
    assert picture.stat().st_size > 50_000


def test_an_engine_that_does_not_start_is_said_and_nothing_is_drawn(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("no_such_key = 1\n", encoding="utf-8")
    picture = tmp_path / "window.png"
    done = subprocess.run(
        [sys.executable, "-m", "app.render", "--config", str(config), "--out", str(picture)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1
    assert "no_such_key" in done.stderr
    assert "Traceback" not in done.stderr
    assert not picture.exists()
