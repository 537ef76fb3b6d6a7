from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from citadel.query import parse
from engine.telemetry import span_writer
from engine.telemetry.histogram import bucket_of
from engine.telemetry.policy import threshold
from engine.telemetry.span_reports import Report, Stretch, estimated, histogram
from engine.telemetry.store import SpanStore
from tests.engine.telemetry.span_rows import DAY, MS, Days, at, span

Open = Callable[..., SpanStore]
MINUTE = 60_000 * MS


async def told(store: SpanStore, stretch: Stretch | None = None, **options: Any) -> list[Any]:
    wanted = stretch or Stretch()
    return await store.files.read(lambda opened: histogram(store.paths, opened, wanted, **options))


async def report(store: SpanStore, text: str, **stretch: int) -> Report:
    return await store.files.read(
        lambda opened: estimated(store.paths, opened, parse(text), Stretch(**stretch))
    )


def some(count: int) -> list[Any]:
    numbers = random.Random(3)
    rows: list[Any] = []
    for number in range(count):
        start = 19_999 * DAY + DAY - 3 * MINUTE + numbers.randrange(6) * MINUTE + number
        rows.append(
            at(
                19_999,
                number % 40,
                start_ns=start,
                end_ns=start + round(numbers.lognormvariate(15, 2)),
                name=numbers.choice(["fetch", "parse"]),
                mission=numbers.choice(["m1", "m2", ""]),
                threshold=threshold(0.25) if number % 3 else threshold(1.0),
            )
        )
    return rows


def counted(rows: list[Any]) -> dict[Any, int]:
    return Counter(
        (row[4] // MINUTE, row[11], row[8], bucket_of((row[5] - row[4]) / 1e9)) for row in rows
    )


@pytest.mark.parametrize("fold", [1, 70, 10_000], ids=["at once", "now and then", "never"])
async def test_histograms_count_every_span_once_whenever_they_are_folded(
    opened: Open, monkeypatch: pytest.MonkeyPatch, fold: int
) -> None:
    monkeypatch.setattr(span_writer, "FOLD_ROWS", fold)
    store, rows = opened(clock=Days()), some(300)
    for start in range(0, len(rows), 50):
        store.write(rows[start : start + 50])
        await store.flush()
    found = await told(store, step_minutes=1)
    assert {(row[0] // MINUTE, *row[1:4]): row[4] for row in found} == counted(rows)
    weights = sum(4.0 if row[20] else 1.0 for row in rows)
    assert sum(row[5] for row in found) == pytest.approx(weights)
    merged = await told(store)
    assert Counter({row[1:4]: row[4] for row in merged}) == Counter(
        (row[11], row[8], bucket_of((row[5] - row[4]) / 1e9)) for row in rows
    )
    two = await told(store, step_minutes=2)
    assert sum(row[4] for row in two) == len(rows)
    assert all(row[0] % (2 * MINUTE) == 0 for row in two)
    midnight = Stretch(since_ns=20_000 * DAY)
    late = await told(store, midnight, mission="m*", name="fe*")
    expected = [r for r in rows if r[4] >= 20_000 * DAY and r[11] and r[8] == "fetch"]
    assert sum(row[4] for row in late) == len(expected)


async def test_a_writer_that_was_killed_leaves_exact_histograms(
    opened: Open, tmp_path: Path
) -> None:
    store, rows = opened(clock=Days()), some(200)
    store.write(rows)
    await store.flush()
    left = tmp_path / "left"
    left.mkdir()
    for path in store.paths[0].parent.iterdir():  # as kill -9 leaves it
        (left / path.name).write_bytes(path.read_bytes())
    with sqlite3.connect(left / store.paths[0].name) as connection:
        assert connection.execute("SELECT count(*) FROM histogram").fetchone() == (0,)
    connection.close()
    again = opened(left, clock=Days())
    more = some(230)[200:]
    again.write(more)
    await again.flush()
    found = await told(again, step_minutes=1)
    assert {(row[0] // MINUTE, *row[1:4]): row[4] for row in found} == counted(rows + more)


async def test_estimates_are_of_what_there_was_over_days(opened: Open) -> None:
    store = opened(clock=Days())
    midnight = 20_000 * DAY
    quarter = threshold(0.25)
    store.write(
        [
            at(19_999, 1, threshold=quarter, start_ns=midnight - 9, end_ns=midnight, name="a"),
            at(20_000, 1, threshold=quarter, start_ns=midnight, end_ns=midnight + 5, status=2),
            at(20_000, 2, name="a", status=2),
            at(20_000, 3, name="b", threshold=2**56, status=2),
        ]
    )
    await store.flush()
    whole = await report(store, "")
    assert (whole.kept_traces, whole.kept_spans) == (3, 4)
    assert whole.estimates.traces.value == 4 + 1
    assert whole.estimates.spans.value == 8 + 1
    assert whole.estimates.errors.value == 4 + 1
    assert whole.estimates.spans.low < 9 < whole.estimates.spans.high
    named = await report(store, "name=a")
    assert (named.estimates.traces.value, named.estimates.spans.value) == (5, 5)
    today = await report(store, "", since_ns=midnight)
    assert today.kept_spans == 3
    before = await report(store, "", until_ns=midnight - 1)
    assert (before.kept_spans, before.estimates.quantiles[0].value) == (1, 9e-9)
    assert (await report(store, "", since_ns=midnight + DAY)).kept_spans == 0


async def test_a_day_with_spans_of_1970_is_counted_too(opened: Open) -> None:
    store = opened()
    store.write([span(1)])
    await store.flush()
    assert [row[4] for row in await told(store)] == [1]
