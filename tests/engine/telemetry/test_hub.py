from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.errors import EngineError, InvalidRequest
from citadel.wire.columns import rows as as_dicts
from citadel.wire.columns import unpack
from citadel.wire.messages import WatchBatch
from citadel.wire.topics import STREAMED
from engine.telemetry import hub as module
from engine.telemetry.batches import BATCH_TEXT, collect
from engine.telemetry.hub import LiveHub

KEYS = {"counter": (0, 1)}


def counter(name: str, value: float) -> tuple[Any, ...]:
    return (name, "{}", value, 1)


def event(text: str) -> tuple[Any, ...]:
    return (1, "info", "engine.started", "", text, 0, 0, "", "{}")


def sentinel(name: str, state: str) -> tuple[Any, ...]:
    return (name, "planner", state, "", "", 0, 0, 0, "", 1)


async def next_batch(stream: AsyncGenerator[WatchBatch]) -> WatchBatch:
    return await asyncio.wait_for(anext(stream), 10)


def told(batch: WatchBatch, topic: str) -> list[dict[str, Any]]:
    return [row for each in batch.batches if each.topic == topic for row in as_dicts(unpack(each))]


# ── the pure part ────────────────────────────────────────────────────────────────────────────────

entries = st.lists(
    st.one_of(
        st.builds(
            lambda name, value: ("counter", counter(name, value)),
            st.sampled_from("abc"),
            st.integers(0, 99),
        ),
        st.builds(lambda text: ("event", event(text)), st.text(max_size=3)),
    ),
    max_size=60,
)


@given(entries, st.sets(st.sampled_from(["counter", "event"])))
def test_without_coalescing_every_row_arrives_in_order(
    stream: list[tuple[str, Any]], wanted: set[str]
) -> None:
    stretch = collect(stream, frozenset(wanted), {})
    assert stretch.taken == len(stream)
    for topic in wanted:
        expected = [row for name, row in stream if name == topic]
        assert stretch.tables.get(topic, []) == expected


@given(entries)
def test_coalescing_keeps_the_last_row_of_each_key_and_every_log_row(
    stream: list[tuple[str, Any]],
) -> None:
    stretch = collect(stream, frozenset({"counter", "event"}), KEYS)
    assert stretch.taken == len(stream)
    assert stretch.tables.get("event", []) == [row for name, row in stream if name == "event"]
    last = {row[0]: row for name, row in stream if name == "counter"}
    reduced = stretch.tables.get("counter", [])
    assert {row[0]: row for row in reduced} == last
    assert len(reduced) == len(last)


@given(st.lists(st.integers(0, BATCH_TEXT), min_size=1, max_size=12))
def test_a_batch_is_bounded_in_text_and_takes_one_row_at_least(sizes: list[int]) -> None:
    stream = [("event", event("x" * size)) for size in sizes]
    taken = 0
    while taken < len(stream):
        stretch = collect(stream[taken:], frozenset({"event"}), {})
        assert stretch.taken >= 1
        rows = stretch.tables["event"]
        assert len(rows) == 1 or sum(len(row[4]) for row in rows) <= BATCH_TEXT
        taken += stretch.taken


# ── one watcher against any course of events ─────────────────────────────────────────────────────

courses = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["counter", "event", "sentinel"])),
    min_size=1,
    max_size=12,
)


@given(courses, st.integers(4, 64), st.booleans())
def test_a_watch_has_no_holes_whatever_happens(
    course: list[tuple[int, str]], ring: int, slow: bool
) -> None:
    asyncio.run(_watch_course(course, ring, slow=slow))


async def _watch_course(course: list[tuple[int, str]], ring: int, *, slow: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH_SECONDS", 0.0)
        patch.setattr(module, "BATCH_ROWS", 4)
        patch.setattr(module, "SLOW_ROWS", 8 if slow else 10**9)
        hub = LiveHub("i", ring=ring)
        published: dict[int, tuple[str, tuple[Any, ...]]] = {}
        hub.publish("event", event("first"))
        async with aclosing(hub.watch(("counter", "event"), hub.seq, "i")) as stream:
            heard: list[tuple[str, dict[str, Any]]] = []
            missed: set[int] = set()
            expected = hub.seq + 1
            for burst, topic in course:
                for number in range(burst):
                    row = {
                        "counter": counter(f"c{number % 3}", number),
                        "event": event(f"e{hub.seq}"),
                        "sentinel": sentinel(f"s{number}", "idle"),
                    }[topic]
                    hub.publish(topic, row)
                    published[hub.seq] = (topic, row)
                while any(
                    seq >= expected and name != "sentinel" for seq, (name, _) in published.items()
                ):
                    batch = await next_batch(stream)
                    if batch.gap:
                        assert batch.gap.from_seq == expected
                        assert batch.gap.cause in {"slow_client", "retention"}
                        assert batch.first_seq == batch.gap.to_seq + 1
                        missed |= set(range(batch.gap.from_seq, batch.gap.to_seq + 1))
                    else:
                        assert batch.first_seq == expected
                    _check(batch, published)
                    expected = batch.last_seq + 1
                    heard += [("event", row) for row in told(batch, "event")]
            texts = [
                row[4]
                for seq, (name, row) in published.items()
                if name == "event" and seq not in missed
            ]
            assert [row["message"] for _, row in heard] == texts


def _check(batch: WatchBatch, published: dict[int, tuple[str, tuple[Any, ...]]]) -> None:
    """A batch says what was published in its stretch: counters whole, or the last of each."""
    inside = [published[seq] for seq in range(batch.first_seq, batch.last_seq + 1)]
    values = [(row[0], row[2]) for name, row in inside if name == "counter"]
    heard = [(row["name"], row["value"]) for row in told(batch, "counter")]
    assert dict(heard) == dict(values)
    assert batch.coalesced or heard == values


# ── the rest of the contract ─────────────────────────────────────────────────────────────────────


async def test_resume_is_exact() -> None:
    hub = LiveHub("i")
    for number in range(10):
        hub.publish("event", event(str(number)))
    async with aclosing(hub.watch(("event",), 4, "i")) as stream:
        batch = await next_batch(stream)
    assert (batch.first_seq, batch.last_seq, batch.gap) == (5, 10, None)
    assert [row["message"] for row in told(batch, "event")] == list("456789")


async def test_the_live_edge_begins_with_what_comes_next() -> None:
    hub = LiveHub("i")
    hub.publish("event", event("old"))
    async with aclosing(hub.watch(("event",), 0, "")) as stream, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(next_batch(stream))
        while not hub._waiters:
            await asyncio.sleep(0)
        hub.publish("event", event("new"))
    assert [row["message"] for row in told(first.result(), "event")] == ["new"]


@pytest.mark.parametrize(("since", "instance"), [(3, "another"), (99, "i")])
async def test_another_instances_number_is_a_gap_that_says_restarted(
    since: int, instance: str
) -> None:
    hub = LiveHub("i")
    for number in range(5):
        hub.publish("event", event(str(number)))
    async with aclosing(hub.watch(("event",), since, instance)) as stream:
        batch = await next_batch(stream)
    assert batch.gap is not None
    assert (batch.gap.cause, batch.gap.to_seq, batch.last_seq) == ("restarted", 5, 5)


async def test_what_the_ring_no_longer_has_is_a_gap_that_says_retention() -> None:
    hub = LiveHub("i", ring=4)
    for number in range(10):
        hub.publish("event", event(str(number)))
    async with aclosing(hub.watch(("event",), 2, "i")) as stream:
        batch = await next_batch(stream)
    assert batch.gap is not None
    assert (batch.gap.cause, batch.gap.from_seq, batch.gap.to_seq) == ("retention", 3, 6)
    assert [row["message"] for row in told(batch, "event")] == list("6789")


async def test_silence_has_a_heartbeat_that_carries_the_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    hub = LiveHub("i")
    hub.publish("event", event("x"))
    async with aclosing(hub.watch(("counter",), 1, "i")) as stream:
        hub.publish("event", event("of no interest"))
        batch = await next_batch(stream)
    assert (batch.batches, batch.last_seq) == ((), 2)


async def test_a_watcher_that_does_not_read_holds_nothing_up() -> None:
    hub = LiveHub("i", ring=100)
    hub.publish("event", event("start"))
    async with aclosing(hub.watch(("event", "counter"), 1, "i")) as stream:
        hub.publish("event", event("one"))
        await next_batch(stream)
        for number in range(1_000):
            hub.publish("counter", counter("c", number))
        batch = await next_batch(stream)
        assert batch.gap is not None
        assert (batch.gap.from_seq, batch.gap.to_seq) == (3, 902)
        assert hub.seq == 1_002


async def test_a_snapshot_and_the_watch_from_it_are_all_there_is() -> None:
    hub = LiveHub("i")
    for state in ("spawning", "idle"):
        hub.publish("sentinel", sentinel("a", state))
    hub.publish("sentinel", sentinel("b", "idle"))
    hub.publish("sentinel", sentinel("b", "gone"))
    hub.publish("event", event("x"))
    seq, batches = hub.snapshot(["sentinel", "event"])
    tables = {batch.topic: as_dicts(unpack(batch)) for batch in batches}
    assert [(row["id"], row["state"]) for row in tables["sentinel"]] == [("a", "idle")]
    assert [row["message"] for row in tables["event"]] == ["x"]
    hub.publish("sentinel", sentinel("a", "gone"))
    async with aclosing(hub.watch(["sentinel"], seq, "i")) as stream:
        batch = await next_batch(stream)
    assert [row["state"] for row in told(batch, "sentinel")] == ["gone"]


def test_a_snapshot_begins_with_what_its_source_adds() -> None:
    hub = LiveHub("i")
    hub.publish("event", event("logged"))
    hub.extra["event"] = lambda: [event("open")]
    (batch,) = hub.snapshot(["event"])[1]
    assert [row["message"] for row in as_dicts(unpack(batch))] == ["open", "logged"]


async def test_no_topics_are_all_topics() -> None:
    assert {batch.topic for batch in LiveHub("i").snapshot([])[1]} == set(STREAMED)


async def test_unknown_topics_are_named() -> None:
    hub = LiveHub("i")
    with pytest.raises(InvalidRequest, match="no topic nonsense"):
        hub.snapshot(["nonsense"])
    with pytest.raises(InvalidRequest, match="trace_summary"):
        await anext(hub.watch(["trace_summary"], 0, ""))


@pytest.mark.parametrize(
    ("topic", "row", "said"),
    [
        ("nonsense", (), "no topic"),
        ("sentinel", ("a",), "10 values, not 1"),
        ("sentinel", sentinel("a", 1), "sentinel.state is str"),  # type: ignore[arg-type]
        ("event", (1, "info", "n", "", "", -1, 0, "", "{}"), "event.trace_hi is u8"),
        ("event", (None, "info", "n", "", "", 0, 0, "", "{}"), "event.time_ns is i8"),
    ],
)
def test_a_row_that_does_not_fit_is_its_publishers_fault(
    topic: str, row: tuple[Any, ...], said: str
) -> None:
    hub = LiveHub("i")
    with pytest.raises(EngineError, match=said):
        hub.publish(topic, row)
    assert hub.seq == 0
