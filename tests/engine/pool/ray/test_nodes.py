"""A node's engine and the engine's end of it, without Ray: real processes, real sockets."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import BadConfig, Unauthenticated
from engine.pool import frames
from engine.pool.hosting import TOKEN_VARIABLE, Charge
from engine.pool.ray import protocol
from engine.pool.ray.agent import connect
from engine.pool.ray.door import Door
from engine.pool.ray.remote import Node
from engine.pool.spawn import UNKNOWN_EXIT, Ears, Hosted

ADAPTERS = Path(__file__).parents[1]
PATIENCE = 30.0


@asynccontextmanager
async def door() -> AsyncIterator[Door]:
    opened = Door()
    await opened.open("", "127.0.0.1")
    try:
        yield opened
    finally:
        opened.close()


@asynccontextmanager
async def node(python: str = "") -> AsyncIterator[tuple[Node, asyncio.subprocess.Process]]:
    """A node's engine as a process of its own, and our end of it."""
    async with door() as opened:
        ticket = protocol.Ticket()
        arrived = opened.expect(ticket)
        told = {
            "host": opened.host,
            "port": opened.port,
            "key": ticket.key.hex(),
            "path": [str(ADAPTERS), *sys.path],
            "python": python,
            "variables": {"MARK": "set"},
            "preload": [],
            "actor": os.getpid(),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine.pool.ray.agent", json.dumps(told)),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                TOKEN_VARIABLE: ticket.token.hex(),
            },
        )
        try:
            found = await asyncio.wait_for(arrived, PATIENCE)
            found.name = "n"
            yield found, process
            found.lose("the test ends")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Heard:
    """What a worker says."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.lines: list[str] = []
        self.garbage: list[str] = []
        self.lost: list[str] = []
        self.untold: list[int] = []
        self.ears = Ears(
            on_line=self.lines.append,
            on_frame=self.frames.put_nowait,
            on_garbage=self.garbage.append,
            on_lost=self.lost.append,
            on_untold=self.untold.append,
        )

    async def next(self) -> list[Any]:
        return await asyncio.wait_for(self.frames.get(), PATIENCE)


async def worker(node: Node, heard: Heard, adapter: str = "adapters:Tools") -> Hosted:
    hosted = await asyncio.wait_for(node.spawn(_charge(adapter), heard.ears), PATIENCE)
    assert (await heard.next())[0] == frames.READY
    return hosted


def _charge(adapter: str = "adapters:Tools") -> Charge:
    return Charge(worker="w", pool="p", adapter=adapter, engine=0, max_result_bytes=1 << 25)


def call(number: int, tool: str, arguments: bytes = b"\x80", seconds: float = PATIENCE) -> list:
    return [frames.CALL, number, tool, arguments, time.monotonic() + seconds, None]


async def test_a_worker_there_serves_as_one_here():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard)
        hosted.link.send(call(1, "add", b"\x81\xa1a\x05"))
        assert (await heard.next())[:2] == [frames.DONE, 1]
        assert hosted.slate.running == ()
        hosted.link.send(call(2, "pid"))
        assert (await heard.next())[3] == bytes(frames.frame([hosted.process.pid])[5:])
        hosted.link.send([frames.STOP])
        assert await asyncio.wait_for(hosted.process.exited, PATIENCE) == 0
        assert there.load == (0, 0)


async def test_variables_of_the_pool_are_set_there():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard, "adapters:Tools")
        assert psutil.Process(hosted.process.pid).environ()["MARK"] == "set"


async def test_a_death_there_tells_code_output_and_what_ran():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard)
        for number in (1, 2, 3):
            hosted.link.send(call(number, "exits", b"\x81\xa4code\x07"))
        assert hosted.slate.running == (1,), "what was sent first runs first"
        assert await asyncio.wait_for(hosted.process.exited, PATIENCE) == 7
        assert hosted.slate.running == (1,)
        assert heard.lines == ["about to exit"]
        assert (heard.lost, heard.garbage) == ([], [])


async def test_answers_that_were_not_sent_outlive_their_worker():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard, "adapters:Wild")
        hosted.link.send(call(1, "closes_everything"))
        await asyncio.wait_for(hosted.process.exited, PATIENCE)
        unsent = frames.Splitter().feed(hosted.slate.unsent())
        assert [item[:2] for item in unsent] == [[frames.DONE, 1]]


async def test_a_kill_from_here_is_a_kill_there():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard)
        hosted.process.kill()
        assert await asyncio.wait_for(hosted.process.exited, PATIENCE) == -signal.SIGKILL
        await hosted.process.end()
        await hosted.link.end()
        hosted.slate.close()


async def test_a_deadline_is_told_in_the_time_of_the_node():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard)
        hosted.link.send(call(1, "noop", seconds=-0.5))
        assert await heard.next() == [frames.DROPPED, 1]
        there.ahead += 1e6  # as if its clock were far ahead: our time is not its time
        hosted.link.send(call(2, "noop", seconds=-0.5))
        assert (await heard.next())[:2] == [frames.DONE, 2]


async def test_a_node_is_measured():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard)
        assert hosted.usage is not None
        async with asyncio.timeout(PATIENCE):
            while not (hosted.usage()[0] and hosted.slate.beats):
                await asyncio.sleep(0.01)
        here = psutil.Process(hosted.process.pid).memory_info().rss
        assert here / 2 < hosted.usage()[0] < here * 2
        assert abs(there.ahead) < 0.5, "the same machine has the same clock"


async def test_a_node_that_dies_loses_its_workers_and_names_itself():
    async with node() as (there, process):
        first, second = Heard(), Heard()
        hosted = await worker(there, first)
        other = await worker(there, second)
        hosted.link.send(call(5, "stubborn", b"\x81\xa7started\xa1x"))
        hosted.link.send(call(6, "noop"))
        process.kill()
        for each in (hosted, other):
            assert await asyncio.wait_for(each.process.exited, PATIENCE) == UNKNOWN_EXIT
        assert hosted.slate.running == (5, 6), "nobody knows which of them it had begun"
        assert other.slate.running == ()
        assert first.lost == second.lost
        assert first.lost[0].startswith("node n was lost: its connection ended")
        with pytest.raises(ConnectionError, match="node n was lost"):
            await there.spawn(_charge(), first.ears)


async def test_its_workers_die_with_a_node():
    async with node() as (there, process):
        hosted = await worker(there, Heard())
        there_too = psutil.Process(hosted.process.pid)
        process.kill()
        _, alive = await asyncio.to_thread(psutil.wait_procs, [there_too], PATIENCE)
        assert alive == []


async def test_a_node_whose_engine_is_gone_ends_with_its_workers():
    async with node() as (there, process):
        hosted = await worker(there, Heard())
        there_too = psutil.Process(hosted.process.pid)
        there.lose("as if the engine had been killed")
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        _, alive = await asyncio.to_thread(psutil.wait_procs, [there_too], PATIENCE)
        assert alive == []


async def test_a_node_is_told_to_leave():
    async with node() as (there, process):
        hosted = await worker(there, Heard())
        there.leave()
        assert await asyncio.wait_for(hosted.process.exited, PATIENCE) == -signal.SIGKILL
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert await asyncio.wait_for(there.gone, PATIENCE) == "its connection ended"


async def test_a_silent_node_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "PING_SECONDS", 0.05)
    async with node() as (there, process):
        heard = Heard()
        hosted = await worker(there, heard)
        monkeypatch.setattr(protocol, "SILENCE_SECONDS", 0.5)
        process.send_signal(signal.SIGSTOP)
        assert await asyncio.wait_for(hosted.process.exited, PATIENCE) == UNKNOWN_EXIT
        assert "it was silent for" in heard.lost[0]


async def test_a_worker_that_cannot_start_says_why():
    async with node(python="nowhere/python") as (there, _):
        with pytest.raises(OSError, match="nowhere/python"):
            await asyncio.wait_for(there.spawn(_charge(), Heard().ears), PATIENCE)
        assert there.load == (0, 0)


async def test_a_large_answer_comes_whole_beside_small_ones():
    async with node() as (there, _):
        heard = Heard()
        hosted = await worker(there, heard, "adapters:Wild")
        sizes = {1: 3, 2: 20_000_000, 3: 0, 4: 500_000}
        for number, size in sizes.items():
            hosted.link.send(call(number, "inflates", msgpack.packb({"size": size})))
        found: dict[int, bytes] = {}
        while len(found) < len(sizes):  # one that waited on the slate may be told twice
            _, number, _, value, *_ = await heard.next()
            found[number] = value
        assert {number: len(msgpack.unpackb(value)) for number, value in found.items()} == sizes


# ── the door ─────────────────────────────────────────────────────────────────────────────────────


class Visitor(asyncio.Protocol):
    """Somebody at the door, or a node that was let in."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.transport: Any = None
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data

    def connection_lost(self, exc):
        self.closed.set()


async def test_who_has_a_ticket_comes_in_once():
    async with door() as opened:
        ticket = protocol.Ticket()
        arrived = opened.expect(ticket)
        visitor = Visitor()
        await connect(opened.host, opened.port, ticket, visitor)
        here = await asyncio.wait_for(arrived, PATIENCE)
        assert isinstance(here, Node)
        with pytest.raises(ConnectionError):
            await connect(opened.host, opened.port, ticket, Visitor())
        here.lose("the test ends")
        await asyncio.wait_for(visitor.closed.wait(), PATIENCE)


async def test_who_does_not_know_the_token_stays_out():
    async with door() as opened:
        ticket = protocol.Ticket()
        arrived = opened.expect(ticket)
        with pytest.raises(Unauthenticated, match="not the engine"):
            await connect(opened.host, opened.port, protocol.Ticket(key=ticket.key), Visitor())
        assert not arrived.done()


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n" * 8, b"", bytes(protocol.HELLO_BYTES)])
async def test_strangers_are_sent_away(words, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "HANDSHAKE_SECONDS", 0.2)
    async with door() as opened:
        loop = asyncio.get_running_loop()
        transport, visitor = await loop.create_connection(Visitor, opened.host, opened.port)
        transport.write(words)
        await asyncio.wait_for(visitor.closed.wait(), PATIENCE)
        assert visitor.data == b""
        assert opened.strangers == 0


async def test_too_many_strangers_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.pool.ray.door.MAX_STRANGERS", 1)
    async with door() as opened:
        loop = asyncio.get_running_loop()
        first, _ = await loop.create_connection(Visitor, opened.host, opened.port)
        _, second = await loop.create_connection(Visitor, opened.host, opened.port)
        await asyncio.wait_for(second.closed.wait(), PATIENCE)
        assert not first.is_closing()
        first.abort()


async def test_where_nothing_can_listen_is_told():
    for listen, says in (("nonsense", "no host:port"), ("203.0.113.1:1", "cannot be listened for")):
        with pytest.raises(BadConfig, match=says):
            await Door().open(listen, "127.0.0.1")


# ── the bytes ────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=40)), max_size=20),
    st.data(),
)
def test_records_survive_any_cut(told, data):
    stream = b"".join(b"".join(protocol.record(worker, [part])) for worker, part in told)
    records, found = protocol.Records(), {}
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        for worker, piece in records.feed(stream[:size]):
            found[worker] = found.get(worker, b"") + piece
        stream = stream[size:]
    wanted: dict[int, bytes] = {}
    for worker, part in told:
        if part:
            wanted[worker] = wanted.get(worker, b"") + part
    assert found == wanted
