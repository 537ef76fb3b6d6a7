"""The control room as its users meet it: started, clicked, cut off, closed."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import citadel
from tests.e2e.screen import Screen, running, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Where things are in the window of 1600 × 900 that the screen gives it.
FLEET = (33, 145)
FIRST_WORKER = (113, 381)
KILL_WORKER = (985, 315)
QUESTION = "Kill worker"


@contextmanager
def engine(folder: Path, listen: str = "127.0.0.1:0") -> Iterator[tuple[Any, str]]:
    command = ["-m", "engine.main", "--listen", listen, "--data-dir", str(folder)]
    with running(command, {**os.environ}) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, child.stderr.read() if child.stderr else ""
        yield child, json.loads(line)["address"]


@contextmanager
def window(screen: Screen, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**screen.environment, "XDG_CONFIG_HOME": str(folder / "config")}
    with running(["-m", "app.main", *arguments], environment) as child:
        until("the window", lambda: bool(screen.window("Citadel")) or child.poll() is not None)
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        screen.xdo("windowfocus", "--sync", screen.window("Citadel"))
        yield child


def click(screen: Screen, place: tuple[int, int]) -> None:
    screen.xdo("mousemove", "--sync", str(place[0]), str(place[1]))
    screen.xdo("mousemove_relative", "--sync", "1", "0")
    screen.xdo("click", "1")


def kill_first_worker(screen: Screen, client: Any) -> None:
    """Clicks until the engine's audit trail has one more kill: a click may come too early."""

    def kills() -> int:
        table, intact = client.audit()
        assert intact
        return table["action"].tolist().count("pool.kill_worker")

    before = kills()

    def clicked() -> bool:
        if not screen.window(QUESTION):
            click(screen, FLEET)
            click(screen, FIRST_WORKER)
            click(screen, KILL_WORKER)
        if question := screen.window(QUESTION):
            screen.xdo("windowfocus", "--sync", question)
            # From Cancel, which is the default, to Kill.
            screen.xdo("key", "Tab")
            screen.xdo("key", "space")
        return kills() > before

    until("the kill in the audit trail", clicked)
    until("the question is gone", lambda: not screen.window(QUESTION))
    screen.xdo("windowfocus", "--sync", screen.window("Citadel"))


def ready_workers(client: Any) -> set[str]:
    return {w.id for w in client.pools.list()[0].workers if w.state in ("ready", "busy")}


def test_operates_an_engine_and_survives_its_loss(
    screen: Screen, tmp_path: Path, folder_of_source: Path
) -> None:
    with (
        engine(tmp_path / "data") as (child, address),
        window(screen, tmp_path, "--connect", address) as app,
    ):
        with citadel.connect_sync(address) as client:
            until("two workers", lambda: len(ready_workers(client)) == 2)
            mission = client.missions.start("survey", path=str(folder_of_source), loop=True)
            before = ready_workers(client)
            kill_first_worker(screen, client)
            until("a replacement", lambda: len(ready_workers(client) - before) >= 1)
            until("whole again", lambda: len(ready_workers(client)) == 2)
            assert client.missions.get(mission.id).state == "running"

            screen.xdo("key", "ctrl+shift+s")
            until("the question", lambda: bool(screen.window("Strict mode")))
            screen.xdo("windowfocus", "--sync", screen.window("Strict mode"))
            screen.xdo("key", "Return")
            until("strict mode", lambda: client.defense.get().strict)
            actors = set(client.audit()[0]["actor"].tolist())
            assert "control room" in actors

        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert app.poll() is None, "the window died with its engine"
        with engine(tmp_path / "data", address), citadel.connect_sync(address) as again:
            assert again.defense.get().strict, "a policy outlives its engine"
            until("two workers", lambda: len(ready_workers(again)) == 2)
            screen.xdo("windowfocus", "--sync", screen.window("Citadel"))
            kill_first_worker(screen, again)
        screen.xdo("windowfocus", "--sync", screen.window("Citadel"))
        screen.xdo("key", "ctrl+q")
        assert app.wait(timeout=30) == 0


def spans_of_surveys(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        query = (
            "SELECT count(*) FROM span JOIN scope ON scope.id = scope"
            " WHERE name = 'run survey_file'"
        )
        try:
            return connection.execute(query).fetchone()[0]
        except sqlite3.OperationalError:  # the engine has not made its tables yet
            return 0


def test_embedded_engine_does_real_work_and_ends_with_the_window(
    screen: Screen, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with window(screen, tmp_path, "--data-dir", str(data)) as app:

        def surveyed() -> int:
            return sum(map(spans_of_surveys, (data / "spans").glob("*.db")))

        until("files surveyed by workers", lambda: surveyed() >= 20)
        children = psutil.Process(app.pid).children(recursive=True)
        assert {"python-1", "python-2"} <= {each.name() for each in children}, "workers have names"
        screen.xdo("windowfocus", "--sync", screen.window("Citadel"))
        screen.xdo("key", "ctrl+q")
        assert app.wait(timeout=30) == 0
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == [], "a process outlived the window"


def test_without_a_display_it_says_what_to_do_instead(tmp_path: Path) -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    with running(["-m", "app.main"], environment) as child:
        _, said = child.communicate(timeout=60)
    assert child.returncode == 3
    assert "render" in said
