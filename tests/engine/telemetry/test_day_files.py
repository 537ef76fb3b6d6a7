from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citadel.errors import NotReady
from citadel.query import parse
from engine.telemetry import span_files
from engine.telemetry import store as module
from engine.telemetry.settings import Retention
from engine.telemetry.store import SpanStore
from tests.engine.telemetry.span_rows import BIG, DAY, MS, Days, at, found, span, trace_id

Open = Callable[..., SpanStore]


def names(store: SpanStore) -> list[str]:
    return [path.name for path in store.paths]


async def test_each_day_has_a_file_and_late_spans_go_to_theirs(opened: Open) -> None:
    days = Days()
    store = opened(clock=days, retention=Retention(days=3))
    today, yesterday, before = "2024-10-04.db", "2024-10-03.db", "2024-10-02.db"
    tomorrow = "2024-10-05.db"
    store.write([at(20_000, 1), at(19_999, 2), at(19_000, 3), at(30_000, 4)])
    await store.flush()
    assert names(store) == [tomorrow, today, yesterday, before], "none made a day of its own"
    assert await found(store, "") == [4, 1, 2, 3]
    assert await found(store, "", since_ns=30_000 * DAY) == [4], "wherever it was put"
    assert await found(store, "", until_ns=19_001 * DAY) == [3]
    assert (store.written, store.lost) == (4, 0)


async def test_a_trace_over_midnight_is_whole(opened: Open) -> None:
    days = Days()
    store = opened(clock=days)
    midnight = 20_000 * DAY
    trace = [
        at(19_999, 1, start_ns=midnight - 2, end_ns=midnight + 9, name="root", mission="m"),
        at(19_999, 1, start_ns=midnight - 1, end_ns=midnight, parent_id=1, name="before"),
        at(20_000, 1, start_ns=midnight, end_ns=midnight + 5, parent_id=1, name="after", status=2),
        at(20_000, 1, start_ns=midnight + 1, end_ns=midnight + 8, parent_id=1, name="later"),
    ]
    store.write([trace[3], trace[1], at(20_000, 2), at(19_999, 3), trace[2], trace[0]])
    await store.flush()
    assert len(store.paths) == 2
    assert await store.get(trace_id(1)) == (trace, False)
    assert await store.get(trace_id(1), limit=3) == (trace[:3], True)
    whole = (1, BIG - 1, "root", midnight - 2, midnight + 9, 4, 1, 0, "m", "")
    for text in ("", "name=root", "name=later", "error", "not name=after"):
        rows = await store.search(parse(text))
        assert [row for row in rows if row[0] == 1] == [whole], text
    assert await found(store, "") == [2, 1, 3]
    assert await found(store, "error", until_ns=midnight - 1) == [1], "by what it did after"
    assert await found(store, "", since_ns=midnight) == [2]
    assert await found(store, "", limit=2) == [2, 1]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4 * 24), st.booleans()), max_size=30),
    st.integers(1, 9),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_search_over_days_is_the_newest_of_all(
    tmp_path: Path, rows: list[tuple[int, int, bool]], limit: int
) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))

    async def compare() -> None:
        store = SpanStore(folder, clock=Days())
        try:
            made = [
                at(19_997, 0, trace_hi=trace, trace_lo=0, status=2 * failed, parent_id=1)
                for trace, _, failed in rows
            ]
            hours = [hour * DAY // 24 + number for number, (_, hour, _) in enumerate(rows)]
            store.write(
                [
                    (*row[:4], row[4] + hour, row[5] + hour, *row[6:])
                    for row, hour in zip(made, hours, strict=True)
                ]
            )
            await store.flush()
            starts: dict[int, int] = {}
            for (trace, _, _), hour in zip(rows, hours, strict=True):
                starts[trace] = min(hour, starts.get(trace, hour))
            newest = sorted(starts, key=lambda trace: -starts[trace])
            assert await found(store, "", limit=limit) == newest[:limit]
            failed = {trace for trace, _, failed in rows if failed}
            expected = [trace for trace in newest if trace in failed][:limit]
            assert await found(store, "error", limit=limit) == expected
        finally:
            store.close()

    asyncio.run(compare())


async def test_days_over_the_age_are_deleted_as_files(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETENTION_ROWS", 1)
    days = Days()
    store = opened(clock=days, retention=Retention(days=3))
    for day in range(20_000, 20_006):
        days.day = day
        store.write([at(day, day - 19_999)])
        await store.flush()
        assert await found(store, ""), "a reader has it open, too"
    assert names(store) == ["2024-10-09.db", "2024-10-08.db", "2024-10-07.db"]
    assert sorted(path.name for path in store.paths[0].parent.glob("*.db")) == names(store)[::-1]
    assert await found(store, "") == [6, 5, 4]
    assert store.retained_since_ns == 20_003 * DAY


async def test_the_oldest_days_go_when_all_are_too_large(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETENTION_ROWS", 1)
    days = Days()
    store = opened(clock=days, retention=Retention(bytes=2_500_000))
    for day in range(20_000, 20_006):
        days.day = day
        for trace in range(1, 11):
            text = json.dumps({"a": f"{day} {trace}" + "x" * 60_000})
            store.write([at(day, trace, trace_hi=day, attributes=text)])
        await store.flush()
    kept = {row[0] for row in await store.search(None)}
    assert kept == set(range(min(kept), 20_006)), "the newest, without a gap"
    assert 1 < len(kept) < 6
    assert store.retained_since_ns == min(kept) * DAY


async def test_a_day_that_is_too_large_on_its_own_loses_its_oldest_traces(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETENTION_ROWS", 1)
    store = opened(clock=Days(), retention=Retention(bytes=1_000_000))
    for trace in range(1, 61):
        text = json.dumps({"a": f"{trace} " + "x" * 30_000})
        store.write([at(20_000, trace, span_id=n, attributes=text) for n in (1, 2, 3)])
        await store.flush()
    kept = [row[0] for row in await store.search(None)]
    assert kept == list(range(60, kept[-1] - 1, -1)), "the newest, without a gap"
    assert 5 < len(kept) < 40
    assert {len((await store.get(trace_id(each)))[0]) for each in kept} == {3}
    assert 20_000 * DAY < store.retained_since_ns <= 20_000 * DAY + kept[-1] * 1_000 * MS
    size = sum(path.stat().st_size for path in store.paths)
    assert size < 2_500_000, "room is used again"
    since = store.retained_since_ns
    store.close()
    assert opened(clock=Days(), retention=Retention(bytes=1_000_000)).retained_since_ns == since


async def test_a_damaged_day_is_set_aside_and_the_rest_is_served(opened: Open) -> None:
    days = Days()
    first = opened(clock=days)
    first.write([at(19_999, 2, span_id=n) for n in range(1, 300)] + [at(20_000, 1)])
    first.close()
    path = first.paths[1]
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    store = opened(clock=days)
    with pytest.raises(NotReady, match=r"2024-10-03\.db") as caught:
        await store.get(trace_id(2))
    assert caught.value.subject == str(path)
    await store.flush()
    assert store.set_aside is not None
    assert store.set_aside.name.startswith("2024-10-03.corrupt-")
    assert await found(store, "") == [1]
    assert await store.get(trace_id(2)) == ([], False)


async def test_texts_are_stored_once_a_day_over_restarts_and_failures(opened: Open) -> None:
    texts = [json.dumps({"a": "b" * 200, "n": number % 3}) for number in range(9)]
    bad = span(1, start_ns=5, end_ns=2**70, attributes="never written")
    store = opened()
    for again in range(2):
        store = opened() if again else store
        store.write([span(n + 1, attributes=text) for n, text in enumerate(texts)])
        await store.flush()
        store.write([bad])
        await store.flush()
        store.write([span(20, attributes="another")])
        await store.flush()
        assert store.lost == 1
        store.close()
    with sqlite3.connect(store.paths[-1]) as connection:
        stored = [text for (text,) in connection.execute("SELECT content FROM text ORDER BY id")]
    connection.close()
    assert sorted(stored) == sorted({*texts, "[]", "another"})
    rows, _ = await opened().get(trace_id(4))
    assert [row[15] for row in rows] == [texts[3]] * 2


async def test_one_file_is_read_on_its_own_and_without_leave_to_write(
    opened: Open, tmp_path: Path
) -> None:
    store = opened()
    store.write([span(1), span(2)])
    store.close()
    copied = tmp_path / "away" / "incident.citadel"
    copied.parent.mkdir()
    copied.write_bytes(store.paths[-1].read_bytes())
    copied.parent.chmod(0o500)
    files = span_files.SpanFiles(lambda: [copied])
    assert [row[0] for row in await files.search(None)] == [2, 1]
    assert (await files.get(trace_id(2)))[0] == [span(2)]
    files.close()
    copied.parent.chmod(0o700)
