"""Pools with a Python of their own. These tests install a small package from the index in use."""

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import psutil
import pytest

import citadel
from citadel.errors import AdapterFailed
from citadel.wire.columns import rows, unpack
from engine.pool import births, environments
from engine.pool.environments import FOLDER, LOCK, MARK, Environments
from engine.pool.file_lock import FileLock
from engine.pool.options import EnvironmentOptions
from engine.pool.pools import Pools
from engine.pool.settings import PoolCommand, PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

PATIENCE = 100.0
SIX = EnvironmentOptions(requirements=("six>=1.16",))


@asynccontextmanager
async def running(
    folder: Path | None, environment: EnvironmentOptions, adapter: str = "needs_six:Six"
):
    hub = LiveHub("test")
    pool = PoolSettings(name="p", adapter=adapter, size=2, environment=environment)
    pools = Pools([pool], Recorder(publish=hub.publish), hub, folder)
    task = asyncio.get_running_loop().create_task(pools.run())
    try:
        await asyncio.wait_for(pools.ready(), PATIENCE)
        yield pools, hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _packages() -> str:
    """Where the engine's packages are, and the adapters of the tests."""
    return os.pathsep.join([str(Path(__file__).parent), sysconfig.get_paths()["purelib"]])


async def where(pools: Pools) -> dict[str, str]:
    command = PoolCommand(id="c", pool="p", tool="where", arguments=b"\x80")
    result = await asyncio.wait_for(pools.submit(command), PATIENCE)
    return msgpack.unpackb(result.value)


def events(hub: LiveHub, name: str) -> list[dict]:
    _, (batch,) = hub.snapshot(["event"])
    return [row for row in rows(unpack(batch)) if row["name"] == name]


@pytest.mark.parametrize("way", ["fork", "plain"])
@pytest.mark.emits("environment.building", "environment.progress", "environment.ready")
async def test_a_pool_gets_what_it_requires_and_nothing_of_the_engines(
    tmp_path: Path, monkeypatch, way: str
):
    monkeypatch.setenv(births.SPAWN_VARIABLE, way)
    async with running(tmp_path, SIX) as (pools, hub):
        told = await where(pools)
        (folder,) = (each for each in (tmp_path / FOLDER).iterdir() if each.is_dir())
        assert told["six"].startswith(str(folder))
        assert told["python"].startswith(str(folder))
        assert told["citadel"] == citadel.__file__, "the worker's code is the engine's"
        assert "grpc" not in told["packages"].split()
        assert (folder / MARK).exists()
        assert "six==" in (folder / LOCK).read_text()
        assert "--hash=sha256:" in (folder / LOCK).read_text()
        assert len(events(hub, "environment.ready")) == 1, "two workers, one environment"
        assert events(hub, "environment.building")
    async with running(tmp_path, SIX) as (pools, hub):
        assert (await where(pools))["six"] == told["six"]
        assert events(hub, "environment.building") == [], "it is there"


@pytest.mark.emits("environment.failed")
async def test_requirements_that_cannot_be_met_fail_the_pool_with_uvs_words(tmp_path: Path):
    wrong = EnvironmentOptions(requirements=("six==0.0.1",))
    async with running(tmp_path, wrong) as (pools, hub):
        with pytest.raises(
            AdapterFailed, match=r"environment of pool p cannot be made: uv"
        ) as told:
            await where(pools)
        assert pools.status()[0].state == "failed"
        assert "six==0.0.1" in pools.status()[0].error
        assert events(hub, "environment.failed")
        assert told.value.remedy


async def test_without_a_data_folder_requirements_are_refused():
    async with running(None, SIX) as (pools, _):
        with pytest.raises(AdapterFailed, match="no data folder"):
            await where(pools)


async def test_an_interpreter_alone_is_used_as_it_is(tmp_path: Path):
    """The engine's own stands for one that has what the worker's code needs."""
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    own = EnvironmentOptions(python=str(link), variables={"PYTHONPATH": _packages()})
    async with running(tmp_path, own, "needs_nothing:Where") as (pools, _):
        told = await where(pools)
    assert told["python"] == str(link)
    assert told["citadel"] == citadel.__file__


async def test_engines_that_share_a_folder_make_an_environment_once(tmp_path: Path):
    told: list[tuple[str, str, str]] = []
    both = [Environments(tmp_path, lambda *event: told.append(event)) for _ in range(2)]
    pythons = await asyncio.gather(*(each.ready(SIX, "p") for each in both))
    assert pythons[0] == pythons[1]
    for each in both:
        each.close()
    assert [event for event, _, _ in told].count("environment.building") == 1


async def test_a_half_made_environment_is_made_anew(tmp_path: Path):
    made = Environments(tmp_path, lambda *_: None)
    python = Path(await made.ready(SIX, "p"))
    folder = python.parents[2]
    (folder / MARK).unlink()
    (folder / "rubbish").touch()
    assert Path(await made.ready(SIX, "p")) == python
    assert not (folder / "rubbish").exists()
    assert (folder / MARK).exists()
    made.close()


async def test_a_line_of_uvs_that_never_ends_is_cut(tmp_path: Path, monkeypatch):
    program = "print('x' * 10**6, 'the end', sep='\\n'); raise SystemExit(1)"
    monkeypatch.setattr(environments, "_uv_command", lambda _: [sys.executable, "-c", program])
    told: list[tuple[str, str, str]] = []
    made = Environments(tmp_path, lambda *event: told.append(event))
    with pytest.raises(AdapterFailed, match="the end"):
        await made.ready(SIX, "p")
    assert [len(text) for event, _, text in told if event == "environment.progress"] == [4097, 7]


BUILDER = """
import asyncio, sys
from pathlib import Path
from engine.pool import environments
from engine.pool.options import EnvironmentOptions

slow = "import time; print('begun', flush=True); time.sleep(600)"
environments._uv_command = lambda _: [sys.executable, "-c", slow]
made = environments.Environments(Path(sys.argv[1]), lambda *told: print(told, flush=True))
asyncio.run(made.ready(EnvironmentOptions(requirements=("seven",)), "p"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are not handed down there")
def test_uv_that_outlives_its_engine_keeps_others_off(tmp_path: Path):
    command = [sys.executable, "-c", BUILDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        while "begun" not in engine.stdout.readline():
            assert engine.poll() is None
        (uv,) = psutil.Process(engine.pid).children()
        engine.kill()
    (path,) = (tmp_path / FOLDER).glob("*.lock")
    with FileLock(path) as lock:
        assert not lock.taken()
        uv.kill()
        psutil.wait_procs([uv], timeout=PATIENCE)
        assert lock.taken()


# ── those that nobody uses any more ──────────────────────────────────────────────────────────────

OLD = (environments.UNUSED_DAYS + 1) * 86_400
SEVEN = EnvironmentOptions(requirements=("seven",))


def made_by_hand(root: Path, options: EnvironmentOptions, age: float = OLD) -> Path:
    """An environment that was used so many seconds ago."""
    folder = root / FOLDER / environments._name(options.python, environments._wanted(options))
    folder.mkdir(parents=True)
    (folder / "something").touch()
    (folder / MARK).touch()
    os.utime(folder / MARK, (time.time() - age,) * 2)
    return folder


async def test_an_environment_that_nobody_used_for_long_is_removed(tmp_path: Path):
    old, young = made_by_hand(tmp_path, SIX), made_by_hand(tmp_path, SEVEN, age=OLD - 2 * 86_400)
    stranger = tmp_path / FOLDER / "not one of ours"
    stranger.mkdir()
    os.utime(stranger, (time.time() - OLD,) * 2)
    told: list[tuple[str, str, str]] = []
    await Environments(tmp_path, lambda *event: told.append(event)).look(tmp_path / FOLDER)
    assert not old.exists()
    assert young.exists()
    assert stranger.exists()
    assert [event[:2] for event in told] == [("environment.removed", old.name)]


async def test_what_a_pool_of_this_engine_asks_for_stays(tmp_path: Path):
    folder = made_by_hand(tmp_path, SIX)
    made = Environments(tmp_path, lambda *_: None)
    made.want(SIX)
    await made.look(tmp_path / FOLDER)
    assert (folder / MARK).exists()


async def test_what_another_engine_uses_or_makes_stays(tmp_path: Path):
    used, making = made_by_hand(tmp_path, SIX), made_by_hand(tmp_path, SEVEN)
    other, third = (Environments(tmp_path, lambda *_: None) for _ in range(2))
    assert await other.ready(SIX, "p") == str(used / "venv" / "bin" / "python")
    os.utime(used / MARK, (time.time() - OLD,) * 2)  # as if that had been long ago
    (making / MARK).unlink()
    os.utime(making, (time.time() - OLD,) * 2)
    with FileLock(making.with_suffix(".lock")) as lock:
        assert lock.taken()
        await third.look(tmp_path / FOLDER)
        assert (used / MARK).exists()
        assert making.exists()
    other.close()
    await third.look(tmp_path / FOLDER)
    assert not used.exists()
    assert not making.exists()


async def test_an_engine_that_runs_for_long_marks_what_it_uses(tmp_path: Path):
    folder = made_by_hand(tmp_path, SIX)
    made = Environments(tmp_path, lambda *_: None)
    await made.ready(SIX, "p")
    os.utime(folder / MARK, (time.time() - OLD,) * 2)
    await made.look(tmp_path / FOLDER)
    assert time.time() - (folder / MARK).stat().st_mtime < OLD / 2
    made.close()


async def test_who_asks_while_one_is_removed_gets_a_whole_one(tmp_path: Path, monkeypatch):
    """The removal has the lock when the other engine asks; that waits, then makes it anew."""
    folder = made_by_hand(tmp_path, SIX)
    loop, removing, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    remove = shutil.rmtree

    def slowly(path: Path) -> None:
        loop.call_soon_threadsafe(removing.set)
        go_on.wait(PATIENCE)
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    cleaner, other = (Environments(tmp_path, lambda *_: None) for _ in range(2))
    tending = loop.create_task(cleaner.tend())
    await asyncio.wait_for(removing.wait(), PATIENCE)
    monkeypatch.undo()
    asking = loop.create_task(other.ready(SIX, "p"))
    done, _ = await asyncio.wait({asking}, timeout=2 * environments.LOCK_POLL_SECONDS)
    assert not done
    go_on.set()
    await asyncio.wait_for(asking, PATIENCE)
    assert (folder / MARK).exists()
    assert not (folder / "something").exists(), "it was made anew"
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)
    other.close()


def test_a_lock_can_be_shared_but_not_with_one_who_wants_it_alone(tmp_path: Path):
    path = tmp_path / "lock"
    with FileLock(path) as alone, FileLock(path) as late:
        with FileLock(path) as first:
            assert first.taken(shared=True)
            with FileLock(path) as second:
                assert second.taken(shared=True)
                assert not alone.taken()
            assert not alone.taken()
        assert alone.taken()
        assert not late.taken(shared=True)


def test_a_lock_is_one_holders_at_a_time(tmp_path: Path):
    with FileLock(tmp_path / "lock") as first, FileLock(tmp_path / "lock") as second:
        assert first.taken()
        assert not second.taken()
    with FileLock(tmp_path / "lock") as third:
        assert third.taken()


@pytest.mark.emits("environment.removed")
async def test_an_engine_says_which_it_removes(tmp_path: Path):
    old = made_by_hand(tmp_path, SIX)
    hub = LiveHub("test")
    made = births.Births(Recorder(publish=hub.publish), tmp_path)
    tending = asyncio.get_running_loop().create_task(made.run())
    async with asyncio.timeout(PATIENCE):
        while not events(hub, "environment.removed"):
            await asyncio.sleep(0.01)
    tending.cancel()
    await asyncio.wait([tending])
    made.close()
    assert [event["subject"] for event in events(hub, "environment.removed")] == [old.name]
