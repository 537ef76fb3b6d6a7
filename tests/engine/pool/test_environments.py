"""Pools with a Python of their own. These tests install a small package from the index in use."""

import asyncio
import os
import sys
import sysconfig
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import pytest

import citadel
from citadel.errors import AdapterFailed
from citadel.wire.columns import rows, unpack
from engine.pool import births
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
    assert [event for event, _, _ in told].count("environment.building") == 1


async def test_a_half_made_environment_is_made_anew(tmp_path: Path):
    environments = Environments(tmp_path, lambda *_: None)
    python = Path(await environments.ready(SIX, "p"))
    folder = python.parents[2]
    (folder / MARK).unlink()
    (folder / "rubbish").touch()
    assert Path(await environments.ready(SIX, "p")) == python
    assert not (folder / "rubbish").exists()
    assert (folder / MARK).exists()


def test_a_lock_is_one_holders_at_a_time(tmp_path: Path):
    with FileLock(tmp_path / "lock") as first, FileLock(tmp_path / "lock") as second:
        assert first.taken()
        assert not second.taken()
    with FileLock(tmp_path / "lock") as third:
        assert third.taken()
