"""The launcher: an engine that serves, one that cannot start, one that goes away."""

import asyncio
import socket
import sys
from pathlib import Path

import psutil
import pytest

import citadel
from citadel.client import local
from citadel.client.local import LocalEngine
from citadel.errors import Unavailable

PATIENCE = 30.0


async def test_it_serves_with_a_token_of_its_own_and_ends_clean(tmp_path: Path) -> None:
    async with LocalEngine(data_dir=tmp_path) as engine:
        assert engine.running
        assert engine.address.startswith("127.0.0.1:")
        assert engine.metrics_address
        async with citadel.connect(engine.address, token=engine.token) as client:
            info = await client.info()
        assert (info.instance_id, info.pid) == (engine.instance_id, engine.pid)
        pid = engine.pid
    assert not engine.running
    assert engine.returncode == 0
    assert not psutil.pid_exists(pid)


async def test_it_may_be_stopped_twice_and_before_it_was_started(tmp_path: Path) -> None:
    engine = LocalEngine(data_dir=tmp_path)
    assert await engine.stop() == 0
    await engine.start()
    assert await engine.stop() == 0
    assert await engine.stop() == 0


async def test_what_is_wrong_with_its_settings_is_in_the_error(tmp_path: Path) -> None:
    config = tmp_path / "engine.toml"
    config.write_text('lisen = "127.0.0.1:0"\n', encoding="utf-8")
    with pytest.raises(Unavailable, match=r"did not start: .*lisen") as caught:
        await LocalEngine(["--config", str(config)], data_dir=tmp_path).start()
    assert "listen" in caught.value.message, "the nearest key"
    assert "Traceback" not in caught.value.details["stderr"]


async def test_a_port_in_use_is_in_the_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match=address):
            await LocalEngine(["--listen", address], data_dir=tmp_path).start()


async def test_one_that_says_nothing_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "START_SECONDS", 0.01)
    engine = LocalEngine(data_dir=tmp_path)
    with pytest.raises(Unavailable, match=r"not ready in 0\.01 s"):
        await engine.start()
    assert not engine.running


async def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    engine = LocalEngine(data_dir=tmp_path)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await engine.start()
    assert not engine.running


async def test_its_death_is_noticed(tmp_path: Path) -> None:
    async with LocalEngine(data_dir=tmp_path) as engine:
        engine.kill()
        async with asyncio.timeout(PATIENCE):
            assert await engine.wait() != 0
        assert not engine.running


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from citadel.client.local import LocalEngine\n"
        "async def main():\n"
        "    engine = await LocalEngine(data_dir=pathlib.Path(sys.argv[1])).start()\n"
        "    print(engine.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    async with asyncio.timeout(PATIENCE):
        child = psutil.Process(int(await parent.stdout.readline()))
        parent.kill()
        await parent.wait()
        await asyncio.to_thread(psutil.wait_procs, [child], PATIENCE)
    assert not child.is_running()


async def test_an_engine_that_is_not_installed_is_said_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "ENGINE_NEEDS", ("engine", "a_library_that_is_not_there"))
    with pytest.raises(Unavailable, match="a_library_that_is_not_there") as caught:
        await LocalEngine().start()
    assert "citadel-command[engine]" in caught.value.remedy
