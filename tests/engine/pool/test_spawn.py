"""Both ways to start a worker, and what it shares with the engine."""

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from engine.pool import frames, jobs, slate
from engine.pool.hosting import Charge
from engine.pool.link import Link, Relay
from engine.pool.spawn import Ears, PlainSpawner

PATIENCE = 30.0


def charge(adapter: str = "adapters:Tools") -> Charge:
    return Charge(
        worker="w",
        pool="p",
        adapter=adapter,
        engine=os.getpid(),
        max_result_bytes=1_000,
    )


@pytest.mark.parametrize("way", ["over_pair", "over_tcp"])
async def test_a_worker_serves_over(way):
    said: asyncio.Queue = asyncio.Queue()
    ears = Ears(on_line=said.put_nowait, on_frame=said.put_nowait, on_garbage=said.put_nowait)
    spawn = getattr(PlainSpawner(), way)
    hosted = await asyncio.wait_for(spawn(charge(), ears, {}), PATIENCE)
    try:
        assert (await asyncio.wait_for(said.get(), PATIENCE))[0] == frames.READY
        call = [frames.CALL, 7, "add", b"\x81\xa1a\x05", time.monotonic() + PATIENCE, None]
        hosted.link.send(call)
        kind, number, _, value = await asyncio.wait_for(said.get(), PATIENCE)
        assert (kind, number, value) == (frames.DONE, 7, b"\x05")
        assert hosted.slate.running == (7,)
        late = [frames.CALL, 8, "add", b"\x81\xa1a\x05", time.monotonic() - 0.001, None]
        hosted.link.send(late)
        assert await asyncio.wait_for(said.get(), PATIENCE) == [frames.DROPPED, 8]
        assert hosted.slate.running == (7,), "a command past its deadline is not begun"
        hosted.link.send([frames.STOP])
        assert await asyncio.wait_for(hosted.process.exited, PATIENCE) == 0
    finally:
        await hosted.process.end()
        await hosted.link.end()
        hosted.slate.close()


async def test_a_relay_passes_bytes_on_as_they_come():
    said: asyncio.Queue = asyncio.Queue()
    splitter = frames.Splitter()
    ears = Ears(
        on_line=said.put_nowait,
        on_frame=said.put_nowait,
        on_garbage=said.put_nowait,
        on_data=lambda data: [said.put_nowait(item) for item in splitter.feed(data)] and None,
    )
    hosted = await asyncio.wait_for(PlainSpawner().spawn(charge(), ears, {}), PATIENCE)
    assert isinstance(hosted.link, Relay)
    try:
        assert (await asyncio.wait_for(said.get(), PATIENCE))[0] == frames.READY
        hosted.link.hold(True)
        call = [frames.CALL, 7, "add", b"\x81\xa1a\x05", time.monotonic() + PATIENCE, None]
        data = frames.frame(call)
        hosted.link.pass_on(data[:9])
        hosted.link.pass_on(data[9:])
        hosted.link.hold(False)
        assert (await asyncio.wait_for(said.get(), PATIENCE))[:2] == [frames.DONE, 7]
    finally:
        await hosted.process.end()
        await hosted.link.end()
        hosted.slate.close()


async def test_a_stranger_on_the_loopback_port_is_not_taken_for_the_worker():
    said: list = []
    link = Link(said.append, said.append, token=b"the right one")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: link, "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"the wrong one" + frames.frame([frames.READY, []]))
        await asyncio.wait_for(link.closed, PATIENCE)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert said == []
    assert not link.proved.done()


async def test_a_process_that_ends_before_it_connects_is_not_waited_for():
    lines: list[str] = []
    ears = Ears(on_line=lines.append, on_frame=lines.append, on_garbage=lines.append)
    gone = replace(charge(), engine=1)  # it sees that its engine is gone
    hosted = await asyncio.wait_for(PlainSpawner().over_tcp(gone, ears, {}), PATIENCE)
    await hosted.process.end()
    await hosted.link.end()
    hosted.slate.close()
    assert hosted.process.exited.result() == 0


def test_a_slate_shows_what_runs_and_what_was_not_sent():
    ours, _, descriptor = slate.create()
    theirs = slate.connect(f"fd:{descriptor}")
    assert (ours.running, ours.unsent()) == ((0,), b"")
    theirs.begin(5)
    assert theirs.put(b"abc")
    assert theirs.put(b"def")
    assert (ours.running, ours.unsent()) == ((5,), b"abcdef")
    assert not theirs.put(bytes(slate.ANSWER_BYTES))
    theirs.sent()
    assert theirs.put(bytes(slate.ANSWER_BYTES))
    assert len(ours.unsent()) == slate.ANSWER_BYTES
    ours.close()
    theirs.close()


def test_a_slate_has_a_number_for_each_thread_and_counts_beats():
    ours, _, descriptor = slate.create(3)
    theirs = slate.connect(f"fd:{descriptor}")
    theirs.begin(9, slot=2)
    theirs.begin(8, slot=1)
    theirs.beat(41)
    assert theirs.put(b"abc")
    assert (ours.running, ours.beats, ours.unsent()) == ((0, 8, 9), 41, b"abc")
    ours.close()
    theirs.close()


@pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")
def test_a_slate_is_closed_to_stray_writes():
    ours, _, descriptor = slate.create()
    spare = os.dup(descriptor)
    theirs = slate.connect(f"fd:{descriptor}")
    with pytest.raises(PermissionError):
        os.pwrite(spare, b"\xff" * 8, 0)
    theirs.begin(3)
    assert ours.running == (3,)
    os.close(spare)
    ours.close()
    theirs.close()


@pytest.mark.skipif(sys.platform == "win32", reason="asks for the parent's id")
def test_where_the_kernel_does_not_help_a_thread_ends_the_orphan():
    child = (
        "import os, time\n"
        "from engine.pool.lifeline import watch\n"
        "watch(os.getppid())\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    running = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    orphan = psutil.Process(int(running.stdout.readline()))
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs([orphan], timeout=PATIENCE)
    running.stdout.close()
    assert alive == []


def test_a_job_has_the_size_that_windows_documents():
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION has 144 bytes in a 64-bit process."""
    assert ctypes.sizeof(jobs._ExtendedLimits) == 144
    if sys.platform != "win32":
        assert not jobs.hold(os.getpid())
