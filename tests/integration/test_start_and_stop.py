"""Starts that fail say why in one line; SIGTERM drains; the folder and the port are given back."""

import asyncio
import hashlib
import json
import signal
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from citadel.client.client import connect
from citadel.client.connection import TLS
from citadel.errors import Forbidden, NotReady, TlsMismatch, Unauthenticated, Unavailable
from citadel.testing import recorded
from citadel.wire import codec
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest

WORKSHOP = 'pools=[{name="workshop", adapter="workshop:Workshop", size=1}]'


async def assert_refused(refused: Any, *arguments: str, says: str, **environment: str) -> None:
    code, out, errors = await refused(*arguments, **environment)
    assert code == 2
    assert out == ""
    assert "Traceback" not in errors
    (line,) = errors.strip().splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert line.endswith(")")  # what to do


async def test_a_port_in_use(refused: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        await assert_refused(refused, "--listen", address, says=f"{address} is in use")
        await assert_refused(refused, "--metrics", address, says=address)


async def test_bad_config(refused: Any, tmp_path: Path) -> None:
    file = tmp_path / "engine.toml"
    file.write_text("[metrics]\nlistn = 3\n")
    says = f"{file}: 'metrics.listn' is no setting; did you mean 'metrics.listen'?"
    await assert_refused(refused, "--config", str(file), says=says)
    await assert_refused(refused, "--config", str(tmp_path / "none"), says="No such file")
    await assert_refused(refused, "--nonsense", says="--nonsense")
    await assert_refused(refused, CITADEL_ENGINE_LISTN="x", says="CITADEL_ENGINE_LISTN")
    await assert_refused(refused, "--listen", "0.0.0.0:0", says="no token is set")


async def test_bad_certificates(refused: Any, tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("garbage")
    await assert_refused(
        refused, "--tls-cert", str(file), "--tls-key", str(file), says="do not make a pair"
    )


async def test_a_data_folder_that_cannot_be_written(refused: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    await assert_refused(
        refused, "--data-dir", str(tmp_path / "file" / "x"), says="cannot be written"
    )


async def test_a_provider_without_its_key(refused: Any) -> None:
    provider = '{name="p", kind="openai", model="m", api_key_env="NO_SUCH_KEY_HERE"}'
    await assert_refused(refused, "--set", f"providers=[{provider}]", says="NO_SUCH_KEY_HERE")


async def test_two_engines_do_not_share_a_folder(headless: Any, refused: Any) -> None:
    await headless()
    await assert_refused(refused, says="another engine uses")


async def test_it_says_where_it_serves_and_ends_clean(headless: Any) -> None:
    engine = await headless()
    said = engine.said
    assert said["pid"] == engine.process.pid
    assert said["wire_version"] == codec.WIRE_VERSION
    async with connect(said["address"]) as client:
        info = await client.info()
    assert (info.instance_id, info.metrics_address) == (
        said["instance_id"],
        said["metrics_address"],
    )
    code, errors = await engine.end(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in errors
    assert "ERROR" not in errors
    # port and folder are free again
    again = await headless("--listen", said["address"])
    assert again.said["instance_id"] != said["instance_id"]
    assert (await again.end(signal.SIGINT))[0] == 0


@pytest.mark.emits("engine.stopping")
async def test_sigterm_lets_running_work_end_and_takes_no_more(
    headless: Any, until: Any, saw: Any
) -> None:
    engine = await headless("--set", WORKSHOP)
    async with connect(engine.address) as client, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(client.pools.call("workshop", "work", seconds=1.5))

        async def running() -> bool:
            return (await client.pools.list())[0].running == 1

        await until(running)
        engine.process.send_signal(signal.SIGTERM)

        async def draining() -> bool:
            return (await client.pools.list())[0].state == "draining"

        await until(draining)
        with pytest.raises(NotReady, match="draining"):
            await client.pools.call("workshop", "add", a=1, b=1)
        request = SnapshotRequest(topics=("event",))
        reply = await client.connection.call("Engine.Snapshot", request)
        for row in rows(unpack(reply.batches[0])):
            saw(row["name"])
        assert await work == "done"
    assert await asyncio.wait_for(engine.process.wait(), 30) == 0


async def test_a_drain_has_an_end(headless: Any, until: Any) -> None:
    engine = await headless("--set", WORKSHOP, "--set", "drain_seconds=0.5")
    async with connect(engine.address) as client, asyncio.TaskGroup() as tasks:

        async def work() -> Exception | None:
            try:
                await client.pools.call("workshop", "work", seconds=50)
            except Exception as error:  # noqa: BLE001 - looked at below
                return error
            return None

        task = tasks.create_task(work())

        async def running() -> bool:
            return (await client.pools.list())[0].running == 1

        await until(running)
        (worker,) = (await client.pools.list())[0].workers
        code, _ = await engine.end(signal.SIGTERM)
        assert code == 0
        assert await task is not None
    assert not psutil.pid_exists(worker.pid)


async def test_workers_do_not_outlive_an_engine_that_is_killed(headless: Any, until: Any) -> None:
    engine = await headless("--set", WORKSHOP)
    async with connect(engine.address) as client:
        assert await client.pools.call("workshop", "add", a=1, b=2) == 3
        (worker,) = (await client.pools.list())[0].workers
    await engine.end(signal.SIGKILL)

    async def gone() -> bool:
        return not psutil.pid_exists(worker.pid)

    await until(gone)


async def test_tokens_and_roles(headless: Any) -> None:
    def token(name: str, role: str) -> str:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return f'{{name="{name}", role="{role}", sha256="{digest}"}}'

    tokens = f"auth.tokens=[{token('vera', 'viewer')}, {token('otto', 'operator')}]"
    engine = await headless("--set", tokens, "--set", WORKSHOP)
    for wrong in ("", "wrong"):
        with pytest.raises(Unauthenticated):
            async with connect(engine.address, token=wrong):
                pass
    async with connect(engine.address, token="vera") as viewer:
        assert (await viewer.info()).role == "viewer"
        assert len(await viewer.pools.list()) == 1
        with pytest.raises(Forbidden, match="operator"):
            await viewer.pools.resize("workshop", 2)
    async with connect(engine.address, token="otto") as operator:
        await operator.pools.resize("workshop", 2, actor="somebody", reason="more work")
        entries, intact = await operator.audit()
        assert intact
        assert entries["actor"].tolist()[-1] == "somebody (otto)"
        assert entries["reason"].tolist()[-1] == "more work"
        assert json.loads(entries["after"].tolist()[-1]) == {"size": 2}


async def test_tls_on_both_sides_or_on_none(headless: Any, tmp_path: Path) -> None:
    secure = await headless("--tls-self-signed")
    ca = str(tmp_path / "data" / "tls" / "cert.pem")
    async with connect(secure.address, tls=TLS(ca=ca)) as client:
        assert (await client.info()).pid == secure.process.pid
    with pytest.raises(TlsMismatch, match="expects TLS"):
        async with connect(secure.address):
            pass
    with pytest.raises(TlsMismatch):
        async with connect(secure.address, tls=True):
            pass
    _, errors = await secure.end(signal.SIGTERM)
    assert "SHA-256" in errors
    plain = await headless()
    with pytest.raises(TlsMismatch):
        async with connect(plain.address, tls=TLS(ca=ca)):
            pass


async def test_nobody_there() -> None:
    with pytest.raises(Unavailable) as caught:
        async with connect("127.0.0.1:1"):
            pass
    assert "127.0.0.1:1" in caught.value.message


async def test_an_adapter_that_does_not_import_fails_its_pool_alone(headless: Any) -> None:
    pools = (
        'pools=[{name="broken", adapter="no_such_module:Adapter", size=1},'
        ' {name="workshop", adapter="workshop:Workshop", size=1}]'
    )
    engine = await headless("--set", pools)
    async with connect(engine.address) as client:
        with pytest.raises(NotReady, match="no_such_module"):
            await client.pools.call("broken", "anything")
        broken, _ = await client.pools.list()
        assert broken.state == "failed"
        assert "no_such_module" in broken.error
        assert await client.pools.call("workshop", "add", a=1, b=2) == 3


async def test_the_first_rate_of_sampling_is_a_setting(headless: Any) -> None:
    engine = await headless("--set", WORKSHOP, "--set", "telemetry.sample_rate=0")
    async with connect(engine.address) as client:
        with client.trace("not kept") as span:
            await client.pools.call("workshop", "add", a=1, b=2)
        with pytest.raises(AssertionError):
            await recorded(client, span, timeout=0.5)
        policy = await client.sampling.get()
        assert policy.rules[-1].rate == 0
