"""Large values between real processes: in shared memory, not copied, and never lost or leaked."""

import ast
import asyncio
import gc
import resource
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import psutil
import pyarrow as pa
import pytest

from citadel import values
from citadel.errors import (
    Cancelled,
    CommandFailed,
    MessageTooLarge,
    Quarantined,
    QuotaExceeded,
    WorkerLost,
)
from citadel.wire.messages import SamplingRule
from engine.pool import frames, slabs
from engine.pool.options import MemoryOptions, ResilienceOptions
from engine.pool.results import PoolResult
from engine.pool.settings import PoolCommand
from engine.telemetry.policy import Policy

ADAPTER = "array_adapters:Arrays"
LARGE = 1 << 20
SMALL_SLAB = MemoryOptions(slab_bytes=1 << 20, threshold_bytes=4096)
ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted([*ROOT.glob("citadel/*.py"), *ROOT.glob("engine/pool/*.py")])
pytestmark = pytest.mark.skipif(not slabs.AVAILABLE, reason="no descriptors to hand down")


def command(tool: str, /, id_: str = "x", **arguments: Any) -> PoolCommand:
    parcel = values.pack_parts(arguments, 4096)
    head = b"".join(parcel.head)
    return PoolCommand(id=id_, pool="p", tool=tool, arguments=head, buffers=parcel.buffers)


async def parts(bench: Any, tool: str, /, **arguments: Any) -> Any:
    result = await asyncio.wait_for(bench.pools.submit_parts(command(tool, **arguments)), 30)
    assert isinstance(result, PoolResult)
    assert result.value == b""
    return result.parcel.unpacked()


async def call(bench: Any, tool: str, /, **arguments: Any) -> Any:
    """As a client over the wire: bytes in, bytes out."""
    packed = PoolCommand(id="y", pool="p", tool=tool, arguments=values.pack(arguments))
    return values.unpack((await asyncio.wait_for(bench.pools.submit(packed), 30)).value)


async def idle(bench: Any) -> None:
    """Until nobody has any block."""
    gc.collect()
    await bench.until("all is released", lambda: bench.status.leases == 0)
    assert bench.status.slab_used_bytes == 0


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("ask", [parts, call])
async def test_arrays_travel_both_ways(make, size: int, ask: Any) -> None:
    bench = await make(ADAPTER)
    wanted = np.arange(size, dtype="<i4").reshape(2, -1)
    found = await ask(bench, "echo", value={"a": [wanted, 1], "b": "text"})
    np.testing.assert_array_equal(found["a"][0], wanted)
    assert found["a"][0].dtype == wanted.dtype
    assert (found["a"][1], found["b"]) == (1, "text")
    del found
    await idle(bench)


@pytest.mark.parametrize("ask", [parts, call])
async def test_arrow_and_raw_buffers_travel_both_ways(make, ask: Any) -> None:
    bench = await make(ADAPTER)
    table = pa.table({"n": np.arange(50_000)})
    found = await ask(bench, "table", value=table)
    assert found.column("n").equals(table.column("n"))
    assert found.column("twice")[49_999].as_py() == 99_998
    doubles, raw = await ask(bench, "raw", count=50_000)
    assert doubles[49_999] == 49_999.0
    assert raw.nbytes == 50_000
    del found, doubles, raw
    await idle(bench)


async def test_a_large_result_of_a_command_that_is_not_traced(make) -> None:
    bench = await make(ADAPTER)
    bench.recorder.sampler.put(Policy(rules=(SamplingRule(id="none", rate=0.0),), keep=()))
    for ask in (parts, call):
        assert (await ask(bench, "ones", count=LARGE // 8)).sum() == LARGE // 8
    await idle(bench)


async def test_large_bytes_stay_bytes(make) -> None:
    bench = await make(ADAPTER)
    large = bytes(range(256)) * 4096
    assert await call(bench, "echo", value=large) == large
    assert await parts(bench, "echo", value=large) == large
    found = (await bench.pools.submit_parts(command("echo", value=large))).parcel
    assert [each.nbytes for each in found.buffers] == [len(large)], "it is read where it lies"
    assert found.unpacked() == large
    del found
    packed = msgpack.packb({"value": large})
    result = await bench.pools.submit(PoolCommand(id="z", pool="p", tool="echo", arguments=packed))
    assert result.value == msgpack.packb(large), "a client of plain msgpack reads it"
    await idle(bench)


async def test_a_worker_sees_a_view_that_it_cannot_write(make) -> None:
    bench = await make(ADAPTER)
    found = await parts(bench, "about", value=np.ones(LARGE))
    assert found == {
        "type": "ndarray",
        "sum": float(LARGE),
        "writeable": False,
        "owns": False,
        "aligned": True,
    }
    with pytest.raises(CommandFailed, match="read-only"):
        await parts(bench, "write", value=np.ones(LARGE))
    assert bench.status.workers[0].id in bench.workers("ready")
    await idle(bench)


async def test_an_array_made_in_place_is_passed_without_a_copy(make) -> None:
    bench = await make(ADAPTER)
    lease = bench.pools.lease("p", 8 * LARGE)
    array = lease.array("<f8", (2, LARGE // 2))
    array[:] = 2.0
    used = bench.status.slab_used_bytes
    running = asyncio.gather(parts(bench, "about", value=array), call(bench, "echo", value=1))
    await asyncio.sleep(0)
    assert bench.status.slab_used_bytes == used
    assert (await running)[0]["sum"] == 2.0 * LARGE
    assert (await parts(bench, "about", value=array[1, 10:]))["sum"] == 2.0 * (LARGE // 2 - 10)
    assert bench.status.leases == 1
    del lease, array
    await idle(bench)


async def test_a_result_made_in_place_is_not_copied_by_the_worker(make) -> None:
    bench = await make(ADAPTER)
    for _ in range(3):
        found = await parts(bench, "in_place", count=LARGE)
        assert found.shape == (LARGE - 1,)
        assert (found == 3.0).all()
        assert not found.flags.writeable
    del found
    await idle(bench)


async def test_an_array_that_a_tool_keeps_stays_valid_and_is_released_later(make) -> None:
    bench = await make(ADAPTER)
    await parts(bench, "keep", value=np.full(LARGE, 5.0))
    for number in range(20):
        await parts(bench, "about", value=np.full(LARGE, float(number)))
    assert bench.status.leases == 1
    assert bench.status.slab_used_bytes >= 8 * LARGE
    assert await parts(bench, "kept_sum") == [5.0 * LARGE]
    await parts(bench, "forget")
    await idle(bench)


async def test_a_result_that_a_caller_keeps_outlives_its_worker(make) -> None:
    bench = await make(ADAPTER)
    kept = await parts(bench, "ones", count=LARGE)
    worker = next(iter(bench.workers()))
    await bench.pools.kill("p", worker)
    await bench.until("another worker", lambda: bench.workers("ready") - {worker})
    assert kept.sum() == LARGE
    assert (await parts(bench, "ones", count=LARGE)).sum() == LARGE
    del kept
    await idle(bench)


async def test_what_a_killed_worker_had_is_free(make) -> None:
    bench = await make(ADAPTER)
    await parts(bench, "keep", value=np.zeros(LARGE))
    assert bench.status.leases == 1
    with pytest.raises(WorkerLost):
        await parts(bench, "die", value=np.zeros(LARGE))
    await idle(bench)


async def test_a_command_that_is_cancelled_or_late_gives_its_memory_back(make) -> None:
    bench = await make(ADAPTER, size=1)
    running = asyncio.get_running_loop().create_task(
        bench.pools.submit_parts(command("echo", id_="gone", value=np.zeros(LARGE, "u1")))
    )
    await asyncio.sleep(0)
    assert bench.status.leases == 1
    assert bench.pools.cancel("gone") != "unknown"
    with pytest.raises(Cancelled):
        await running
    await parts(bench, "echo", value=1)
    await idle(bench)


async def test_a_full_slab_falls_back_to_the_link(make) -> None:
    bench = await make(ADAPTER, memory=SMALL_SLAB)
    wanted = np.arange(LARGE, dtype="<f8")
    found = await parts(bench, "echo", value=wanted)
    np.testing.assert_array_equal(found, wanted)
    assert found.flags.writeable is False
    assert await call(bench, "about", value=wanted[: LARGE // 16])
    await idle(bench)


async def test_what_neither_the_slab_nor_the_link_takes_is_refused_with_a_remedy(make) -> None:
    bench = await make(ADAPTER, memory=SMALL_SLAB)
    with pytest.raises(MessageTooLarge) as caught:
        await parts(bench, "about", value=np.zeros(80 << 20, np.uint8))
    assert "memory.slab_bytes" in caught.value.remedy
    with pytest.raises(MessageTooLarge) as caught:
        await parts(bench, "ones", count=10 << 20)
    assert "memory.slab_bytes" in caught.value.remedy
    with pytest.raises(QuotaExceeded, match="no room"):
        bench.pools.lease("p", 2 << 20)
    await idle(bench)


async def test_without_a_slab_all_goes_on_the_link(make) -> None:
    bench = await make(ADAPTER, memory=MemoryOptions(slab_bytes=0))
    wanted = np.arange(LARGE, dtype="<f8")
    np.testing.assert_array_equal(await parts(bench, "echo", value=wanted), wanted)
    assert await parts(bench, "echo", value=wanted.tobytes()) == wanted.tobytes()
    assert bench.status.slab_bytes == 0
    with pytest.raises(QuotaExceeded):
        bench.pools.lease("p", 1)


@pytest.mark.parametrize("tool", ["five_gigabytes", "five_gigabytes_of_bytes"])
@pytest.mark.parametrize("ask", [parts, call])
async def test_five_gigabytes_are_refused_and_the_engine_does_not_grow(
    make, tool: str, ask: Any
) -> None:
    if tool.endswith("bytes") and psutil.virtual_memory().available < 8 << 30:
        pytest.skip("this machine has no 5 GB for the tool itself")
    bench = await make(ADAPTER)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MessageTooLarge, match=r"53687091\d\d bytes") as caught:
        await ask(bench, tool)
    assert caught.value.remedy
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert (await call(bench, "echo", value=1)) == 1
    await idle(bench)


async def test_an_array_of_objects_is_refused_with_a_remedy(make) -> None:
    bench = await make(ADAPTER)
    with pytest.raises(CommandFailed, match="Python objects"):
        await call(bench, "objects")


@pytest.mark.emits("slab.leaked")
async def test_a_value_held_long_after_its_command_is_reported_once(make) -> None:
    bench = await make(ADAPTER, memory=MemoryOptions(leak_seconds=0.05))
    await parts(bench, "keep", value=np.zeros(LARGE))
    await bench.until("the leak is told", lambda: bench.events("slab.leaked"))
    kept = await parts(bench, "ones", count=LARGE)
    await bench.until("the other is told", lambda: len(bench.events("slab.leaked")) == 2)
    told = [event["message"] for event in bench.events("slab.leaked")]
    assert any(f"{8 * LARGE} bytes of keep are held by" in text for text in told)
    assert any(f"{8 * LARGE} bytes of ones are held by its caller" in text for text in told)
    assert kept.sum() == LARGE
    del kept
    await parts(bench, "forget")
    await idle(bench)
    assert len(bench.events("slab.leaked")) == 2


async def test_a_worker_imports_what_a_value_asks_for(make) -> None:
    bench = await make("plain_adapters:Plain")
    assert await call(bench, "modules") == []
    assert await call(bench, "length", value=[1, 2, b"x" * LARGE]) == 3
    assert await call(bench, "modules") == []
    assert await call(bench, "length", value=np.zeros(LARGE)) == LARGE
    assert await call(bench, "modules") == ["numpy"]
    assert await call(bench, "length", value=pa.table({"n": [1, 2]})) == 2
    assert await call(bench, "modules") == ["numpy", "pyarrow"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_on_the_way_knows_pickle(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {"pickle", "_pickle", "marshal", "shelve", "cloudpickle"} & set(names)


@pytest.mark.parametrize(
    "value",
    [
        [b"\x01", [[1 << 40, 8]]],
        [b"\x01", [[-1, 8]]],
        [b"\x01", [[0, 1 << 62]]],
        [b"\x01", [[0.5, 8]]],
        [b"\x01", []],
        [b"\x01", [0, 8]],
        [3, [[0, 8]]],
        {"a": 1},
        None,
    ],
)
async def test_a_worker_that_lies_about_its_slab_is_killed(make, value: Any) -> None:
    bench = await make(ADAPTER)
    pool = bench.pools._known("p")
    worker = next(iter(pool.crew.workers.values()))
    running = bench.pools.begin(command("wait"))
    await bench.until("it runs", lambda: worker.runs(pool.commands.newest))
    pool.worker_said(worker, [frames.DONE, pool.commands.newest, 0.0, value])
    with pytest.raises(WorkerLost, match="garbage"):
        await running
    await bench.until("another worker", lambda: bench.workers("ready") - {worker.id})


@pytest.mark.parametrize("places", [[[64, 8]], [[1 << 50, 1]], [["a", 1]], [7]])
async def test_a_worker_that_releases_what_it_has_not_is_killed(make, places: Any) -> None:
    bench = await make(ADAPTER)
    lease = bench.pools.lease("p", 100)
    pool = bench.pools._known("p")
    worker = next(iter(pool.crew.workers.values()))
    pool.worker_said(worker, [frames.RELEASED, places])
    await bench.until("another worker", lambda: bench.workers("ready") - {worker.id})
    assert "garbage" in bench.events("worker.lost")[0]["message"]
    assert len(lease.memory) == 100


@pytest.mark.parametrize("memory", [MemoryOptions(), SMALL_SLAB], ids=["slab", "link"])
async def test_a_command_that_kills_is_known_by_its_buffers(make, tmp_path, memory) -> None:
    bench = await make(ADAPTER, memory=memory, resilience=ResilienceOptions(poison_kills=1))
    started, until = tmp_path / "started", tmp_path / "until"
    waits = {"started": str(started), "until": str(until)}
    value = np.zeros(2 * LARGE, "u1")
    dying = asyncio.get_running_loop().create_task(parts(bench, "die_when", value=value, **waits))
    await bench.until("the start", started.exists)
    value[:] = 7  # it is the caller's again, once the command has begun
    until.touch()
    with pytest.raises(WorkerLost):
        await dying
    with pytest.raises(WorkerLost):
        await parts(bench, "die_when", value=value, **waits)
    first, second = bench.pools.poison()
    assert first.fingerprint != second.fingerprint
    for each in (value, np.zeros(2 * LARGE, "u1")):
        with pytest.raises(Quarantined):
            await parts(bench, "die_when", value=each, **waits)
