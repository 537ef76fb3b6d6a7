from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citadel.errors import BadConfig, DeadlineExceeded, NotReady
from citadel.query import parse
from engine.telemetry import span_files
from engine.telemetry import store as module
from engine.telemetry.encode import Row
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler
from engine.telemetry.span_writer import SpanWriter
from engine.telemetry.store import SpanStore
from tests.engine.telemetry.span_rows import BIG, MS, found, span, trace_id

Open = Callable[..., SpanStore]


async def test_spans_come_back_as_they_were(store: SpanStore) -> None:
    rows = [
        span(1, start_ns=2, name="späte Spanne 🛰", parent_id=2**63),
        span(1, start_ns=1, attributes='{"a":1}', events='[{"name":"e"}]'),
        span(2),
    ]
    assert store.write(rows) == 0
    await store.flush()
    assert await store.get(trace_id(1)) == ([rows[1], rows[0]], False)
    assert await store.get(trace_id(3)) == ([], False)


async def test_a_trace_beyond_the_limit_is_truncated_and_says_so(store: SpanStore) -> None:
    store.write([span(1, start_ns=n, span_id=n) for n in range(1, 8)])
    await store.flush()
    rows, truncated = await store.get(trace_id(1), limit=5)
    assert [row[2] for row in rows] == [1, 2, 3, 4, 5]
    assert truncated


async def test_a_summary_counts_names_and_spans_its_trace(store: SpanStore) -> None:
    guard = {"source": "guard", "parent_id": 5}
    store.write([span(1, parent_id=5, name="child", start_ns=50, end_ns=99, status=2)])
    await store.flush()
    assert (await store.search(None))[0][2] == "child", "the earliest names it for now"
    store.write(
        [
            span(1, name="the root", start_ns=60, end_ns=70, mission="m", mission_class="critical"),
            span(1, parent_id=5, name="early", start_ns=10, end_ns=11),
            span(1, **guard, attributes='{"citadel.guard.decision":"block"}'),
            span(1, **guard, attributes='{"citadel.guard.decision":"allow"}'),
            span(1, source="user", attributes='{"citadel.guard.decision":"block"}'),
        ]
    )
    await store.flush()
    (row,) = await store.search(None)
    end = 1_005 * MS
    assert row == (1, BIG - 1, "the root", 10, end, 6, 1, 1, "m", "critical")


async def test_newest_traces_come_first_within_limit_and_time(store: SpanStore) -> None:
    store.write([span(n) for n in range(1, 8)])
    await store.flush()
    assert await found(store, "") == [7, 6, 5, 4, 3, 2, 1]
    assert await found(store, "", limit=2) == [7, 6]
    second = 1_000 * MS
    assert await found(store, "", since_ns=3 * second, until_ns=5 * second) == [5, 4, 3]
    assert await found(store, "name=root", limit=1, until_ns=5 * second) == [5]


@pytest.mark.parametrize(
    ("text", "traces"),
    [
        ("error", [2]),
        ("status=error", [2]),
        ("status!=error", [4, 3, 2, 1]),
        ("dur>5ms", [3]),
        ("dur>=5ms and not error", [4, 3, 2, 1]),
        ("flagged", [4]),
        ('name~"sur*"', [3]),
        ("name=survey or error", [3, 2]),
        ("message~'*refused*'".replace("'", '"'), [2]),
        ('not message=""', [2]),
        ("kind=server", [3]),
        ("kind!=internal", [3]),
        ("span=00000000000000ab", [1]),
        ("parent=0000000000000001 and not error", [1]),
        ('parent=""', [4, 3, 2, 1]),
        ("event=exception", [4]),
        ('event~"exc*" and flagged', [4]),
        ("attr.n", [3, 1]),
        ("not attr.n and not error", [4, 2, 1]),
        ("attr.gen_ai.usage", [1]),
        ("attr.done=true", [1]),
        ("attr.done=false", []),
        ("attr.done!=false", [1]),
        ("attr.code=404", [3]),
        ("attr.code!=404", []),
        ("attr.code>3", []),
        ("attr.model>5", []),
        ("attr.model>=gpt", [1]),
        ("attr.n!=1", [3]),
        ("attr.n=1e0", [1]),
        ("dur<1h and attr.n>=3", [3]),
        ("mission=m and class=critical", [2]),
        ("source=worker and service=w1", [2]),
        ("pool=python", [3]),
        ("sentinel~s?", [1]),
        ("attr.n=3", [3]),
        ("attr.n>2", [3]),
        ("attr.n<10", [3, 1]),
        ('attr.model="gpt-x"', [1]),
        ('attr.model~"gpt*"', [1]),
        ('attr.gen_ai.usage="7"', [1]),
        ("attr.nothing=1", []),
        ("not attr.n>0", [4, 2, 1]),
        ("trace=0000000000000003fffffffffffffffc", [3]),
        ("trace~0000000000000003*", [3]),
        ('name="x\' OR 1=1 --"', []),
    ],
)
async def test_filters(store: SpanStore, text: str, traces: list[int]) -> None:
    attributes = {"n": 1, "model": "gpt-x", "gen_ai.usage": 7, "done": True}
    guard = '{"citadel.guard.decision":"flag"}'
    store.write(
        [
            span(1, sentinel="s1", attributes=json.dumps(attributes)),
            span(1, parent_id=1, name="inner", span_id=0xAB),
            span(2, mission="m", mission_class="critical"),
            span(
                2, parent_id=1, status=2, source="worker", service="w1", status_message="it refused"
            ),
            span(
                3,
                name="survey",
                pool="python",
                end_ns=3_009 * MS,
                attributes='{"n":3,"code":"404"}',
                kind=2,
            ),
            span(4, source="guard", attributes=guard, events='[{"name":"exception"}]'),
        ]
    )
    await store.flush()
    assert await found(store, text) == traces


spans = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([0, 2]), st.sampled_from("ab"), st.integers(0, 9)),
    max_size=20,
)


@given(spans)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_filter_finds_what_a_loop_finds(
    tmp_path: Path, rows: list[tuple[int, int, str, int]]
) -> None:
    path = tmp_path / f"{abs(hash(tuple(rows)))}-{len(list(tmp_path.iterdir()))}" / "spans"
    asyncio.run(_compare(path, rows))


async def _compare(path: Path, rows: list[tuple[int, int, str, int]]) -> None:
    store = SpanStore(path)
    try:
        store.write(
            [
                span(t, status=s, name=n, attributes=json.dumps({"n": v}), parent_id=1)
                for t, s, n, v in rows
            ]
        )
        await store.flush()
        expected = {t for t, s, n, v in rows if (s == 2 and n == "a") or v > 7}
        assert set(await found(store, "(error and name=a) or attr.n>7")) == expected
        assert set(await found(store, "not error")) == {t for t, s, _, _ in rows if s != 2}
        summary = {row[0]: row[5:7] for row in await store.search(None)}
        assert summary == {
            t: (len([r for r in rows if r[0] == t]), len([r for r in rows if r[:2] == (t, 2)]))
            for t in {r[0] for r in rows}
        }
    finally:
        store.close()


async def test_reading_while_writing_sees_whole_batches(store: SpanStore) -> None:
    batches = 40
    for batch in range(batches):
        store.write([span(1, span_id=batch * 10 + n + 1, start_ns=batch + 1) for n in range(10)])
    while len((await store.get(trace_id(1)))[0]) < batches * 10:
        rows, _ = await store.get(trace_id(1))
        assert len(rows) % 10 == 0
    assert (await store.search(None))[0][5] == batches * 10


async def test_a_full_queue_drops_and_the_ledger_knows(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_BATCHES", 2)
    blocked, go = threading.Event(), threading.Event()

    class Slow(SpanWriter):
        def write(self, rows: Sequence[Row], *, gently: bool = False) -> None:
            blocked.set()
            assert go.wait(20)
            super().write(rows, gently=gently)

    lost: list[tuple[set[int], str]] = []
    store = opened(
        open_writer=Slow, on_lost=lambda ids, cause, _: lost.append((set(ids), str(cause)))
    )
    recorder = Recorder(Sampler([]))
    recorder.keep_in(store)
    for _ in range(5):
        recorder.span("s", root=True).end()
        recorder.drain()
        if not blocked.is_set():
            assert await asyncio.to_thread(blocked.wait, 20)
    before = recorder.ledger()
    assert before.dropped["store_full"] == 2
    assert [(len(ids), cause) for ids, cause in lost] == [(1, "store_full")] * 2
    assert (before.kept, before.in_flight) == (0, 3)
    go.set()
    await store.flush()
    after = recorder.ledger()
    assert (after.started, after.kept, after.in_flight) == (5, 3, 0)


async def test_a_batch_that_cannot_be_written_is_lost_by_name_and_no_other(opened: Open) -> None:
    told: list[tuple[str, str]] = []
    store = opened(on_trouble=lambda name, text: told.append((name, text)))
    recorder = Recorder(Sampler([]))
    recorder.keep_in(store)
    recorder.span("good", root=True).end()
    recorder.drain()
    await store.flush()
    assert store.write([span(1, start_ns=2**70)]) == 0
    await store.flush()
    assert (store.written, store.lost) == (1, 1)
    assert told[0][0] == "store.failed"
    assert "1 spans lost" in told[0][1]
    recorder.span("good again", root=True).end()
    recorder.drain()
    await store.flush()
    assert store.written == 2
    assert recorder.ledger().dropped["store_failed"] == 1


class SmallDisk(SpanWriter):
    """A file that SQLite itself stops from growing: the same error as a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connection.execute("PRAGMA max_page_count = 30")


async def test_a_full_disk_is_counted_and_survived(tmp_path: Path) -> None:
    told: list[str] = []
    lost: list[int] = []
    store = SpanStore(
        tmp_path / "spans",
        on_trouble=lambda _, text: told.append(text),
        on_lost=lambda ids, cause, by: lost.extend(ids),
        open_writer=SmallDisk,
    )
    big = json.dumps({"a": "x" * 60_000})
    try:
        store.write([span(1)])
        await store.flush()
        store.write([span(2, attributes=f"{big} {n}", span_id=n) for n in range(1, 9)])
        await store.flush()
        store.write([span(3)])
        await store.flush()
        assert await found(store, "") == [3, 1]
        assert (store.written, store.lost) == (2, 8)
        assert "full" in told[0]
        assert lost == [trace_id(2)]
        assert store.set_aside is None
    finally:
        store.close()


@pytest.mark.parametrize("damage", ["text", "header", "pages"])
async def test_a_corrupt_file_is_set_aside_and_a_fresh_one_begun(
    opened: Open, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "spans"
    first = SpanStore(folder)
    first.write([span(n, span_id=n) for n in range(1, 500)])
    first.close()
    path = first.paths[-1]  # what is older than all that is kept is in the oldest day
    content = bytearray(path.read_bytes())
    if damage == "text":
        content = bytearray(b"this is no database, it is a text of some length\n" * 100)
    elif damage == "header":
        content[0:16] = b"\0" * 16
    else:
        content[4096 : len(content)] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    told: list[str] = []
    store = opened(folder, on_trouble=lambda name, text: told.append(name))
    store.write([span(7)])
    await store.flush()
    if damage == "pages":  # found out by the writer: that batch is lost, and counted so
        assert told == ["store.failed", "store.set_aside"]
        assert store.lost == 1
        store.write([span(7)])
        await store.flush()
    assert store.set_aside is not None
    assert store.set_aside.read_bytes()[100:] == bytes(content)[100:], "but for SQLite's counters"
    assert "corrupt" in store.set_aside.name
    assert [row[0] for row in await store.search(None)] == [7]


async def test_damage_that_a_reader_finds_is_told_and_mended(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "spans"
    first = SpanStore(folder)
    first.write([span(n, span_id=n) for n in range(1, 500)])
    first.close()
    path = first.paths[-1]  # what is older than all that is kept is in the oldest day
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    store = opened(folder)
    with pytest.raises(NotReady, match="damaged"):
        await store.search(None)
    await store.flush()
    assert await store.search(None) == []
    store.write([span(7)])
    await store.flush()
    assert await found(store, "") == [7]


def test_a_database_of_a_newer_citadel_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "spans"
    folder.mkdir()
    path = folder / "2026-01-01.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BadConfig, match="newer Citadel") as caught:
        SpanStore(folder)
    assert str(folder) in caught.value.subject
    assert path.name in str(caught.value)
    assert path.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadConfig, match="cannot be written") as caught:
        SpanStore(tmp_path / "file" / "spans")
    assert str(tmp_path / "file") in caught.value.subject
    assert "--data-dir" in caught.value.remedy


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadConfig, match="cannot be written"):
        SpanStore(tmp_path / "spans")


async def test_a_search_that_takes_too_long_is_stopped(
    store: SpanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_files, "READ_SECONDS", -1.0)
    monkeypatch.setattr(span_files, "_STEPS", 1)
    store.write([span(n) for n in range(1, 50)])
    await store.flush()
    with pytest.raises(DeadlineExceeded, match="longer than"):
        await store.search(parse("name=nothing"))


async def test_what_was_queued_is_written_before_the_end(tmp_path: Path) -> None:
    store = SpanStore(tmp_path / "spans")
    for number in range(1, 101):
        store.write([span(number)])
    store.close()
    store.close()
    again = SpanStore(tmp_path / "spans")
    assert len(await again.search(None, limit=1_000)) == 100
    again.close()
