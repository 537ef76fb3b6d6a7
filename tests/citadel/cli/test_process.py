"""The console script as a process of its own: exit codes, signals, pipes, an engine of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from citadel.client.sync import SyncClient
from citadel.client.watch import Lost
from citadel.testing import EngineUnderTest

PATIENCE = 60.0
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def start(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "citadel.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("CITADEL_")},
            **(environment or {}),
        },
    )


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    """Where an engine of the command's own keeps its data."""
    return {"CITADEL_ENGINE_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def remote(engine: EngineUnderTest) -> Mapping[str, str]:
    return {"CITADEL_CONNECT": engine.address, "CITADEL_TOKEN": engine.token}


def test_a_mission_runs_without_an_engine_that_was_there_before(
    home: Mapping[str, str], source: Path
) -> None:
    arguments = ("mission", "run", "survey", "--path", str(source), "--json")
    with start(*arguments, environment=home) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    said = json.loads(out)
    assert said["mission"]["summary"]["files"] == 3
    assert all(row["summary"].startswith("[simulated]") for row in said["rows"])


def test_an_engine_of_its_own_that_cannot_start_is_told(
    home: Mapping[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "engine.toml"
    config.write_text("nonsense = 1\n", encoding="utf-8")
    with start("mission", "run", "survey", "--config", str(config), environment=home) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("error: the engine did not start:")
    assert "nonsense" in err
    assert "Traceback" not in err


def test_the_engine_verb_is_the_engine(tmp_path: Path) -> None:
    arguments = ("--listen", "127.0.0.1:0", "--metrics", "", "--data-dir", str(tmp_path))
    with start("engine", *arguments) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        with start("--connect", said["address"], "info", "--json") as asked:
            out, err = asked.communicate(timeout=PATIENCE)
        assert json.loads(out)["pid"] == process.pid == said["pid"], err
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err


def test_an_engine_that_is_told_nonsense_exits_with_two() -> None:
    with start("engine", "--lisen", "x") as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert err.startswith("error: ")
    assert "--lisen" in err


def until_it_runs(client: SyncClient, name: str) -> None:
    """Returns once the engine streams a mission of that name."""
    updates = client.watch(["mission"])
    for update in updates:
        assert not isinstance(update, Lost)
        if "mission" in update.tables and name in list(update.tables["mission"]["name"]):
            break
    updates.close()


@POSIX
def test_ctrl_c_cancels_the_mission_that_it_waits_for(
    remote: Mapping[str, str], engine: EngineUnderTest, source: Path
) -> None:
    arguments = ("mission", "run", "survey", "--path", str(source), "--loop", "--rate", "3")
    with engine.sync_client() as client:
        with start(*arguments, "--name", "endless-1", environment=remote) as process:
            until_it_runs(client, "endless-1")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        (status,) = [each for each in client.missions.list() if each.name == "endless-1"]
        assert status.state == "cancelled"


@POSIX
def test_ctrl_c_at_the_terminal_takes_its_own_engine_along(
    home: Mapping[str, str], source: Path
) -> None:
    arguments = ("mission", "run", "survey", "--path", str(source), "--loop", "--rate", "3")
    with start(*arguments, environment=home) as process:
        own = psutil.Process(process.pid)
        children: list[psutil.Process] = []
        while not children and process.poll() is None:
            children = own.children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert alive == []


@POSIX
def test_a_reader_that_goes_away_is_no_error(remote: Mapping[str, str]) -> None:
    with start("events", "--topic", "worker", "--topic", "pool", environment=remote) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        # The next row that is written finds nobody; resizing makes some.
        with start("pool", "recycle", "shed", environment=remote) as recycle:
            recycle.communicate(timeout=PATIENCE)
        process.wait(timeout=PATIENCE)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
