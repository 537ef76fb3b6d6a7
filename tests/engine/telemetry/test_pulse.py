from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.telemetry.hub import LiveHub
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder


def counters(hub: LiveHub) -> dict[tuple[str, str], float]:
    return {(row[0], row[1]): row[2] for row in hub.state("counter")}


def test_a_beat_publishes_what_changed_and_no_more(clock: Any) -> None:
    hub = LiveHub("i")
    recorder = Recorder(publish=hub.publish, clock=clock)
    pulse = Pulse(recorder, hub, lambda: [("citadel.pool.queued", {"pool": "p"}, 3.0)])
    recorder.count("citadel.worker.lost", pool="p")
    pulse.beat()
    shown = counters(hub)
    assert shown["citadel.worker.lost", '{"pool": "p"}'] == 1
    assert shown["citadel.pool.queued", '{"pool": "p"}'] == 3
    assert shown["citadel.process.rss", "{}"] > 1_000_000
    before = hub.seq
    pulse.beat()
    assert hub.seq == before
    recorder.count("citadel.worker.lost", 2, pool="p")
    pulse.beat()
    assert hub.seq == before + 1
    assert counters(hub)["citadel.worker.lost", '{"pool": "p"}'] == 3


def test_latency_rows_add_up_to_the_histogram(clock: Any) -> None:
    hub = LiveHub("i")
    recorder = Recorder(publish=hub.publish, clock=clock)
    pulse = Pulse(recorder, hub)
    for beat in range(3):
        for number in range(50):
            recorder.observe("citadel.command.duration", 0.001 * (number + beat + 1), "p")
        pulse.beat()
    merged: dict[int, int] = {}
    for row in hub._logs["latency"]:
        assert row[1:3] == ("citadel.command.duration", "p")
        merged[row[3]] = merged.get(row[3], 0) + row[4]
    assert merged == recorder.durations["citadel.command.duration", "p"].counts


def test_the_ledger_is_published_as_it_is(clock: Any) -> None:
    hub = LiveHub("i")
    recorder = Recorder(publish=hub.publish, clock=clock)
    recorder.span("open", root=True)
    recorder.span("ended", root=True).end()
    recorder.drain()
    Pulse(recorder, hub).beat()
    shown = counters(hub)
    assert shown["citadel.spans.started", "{}"] == 2
    assert shown["citadel.spans.kept", "{}"] == 1
    assert shown["citadel.spans.in_flight", "{}"] == 1


@pytest.mark.emits("citadel.events.dropped")
async def test_what_slow_watchers_miss_is_counted() -> None:
    hub = LiveHub("i", ring=4)
    recorder = Recorder(publish=hub.publish)
    pulse = Pulse(recorder, hub)
    for number in range(10):
        recorder.event("engine.started", message=str(number))
    stream = hub.watch(["event"], 2, "i")
    batch = await anext(stream)
    await stream.aclose()
    assert batch.gap is not None
    pulse.beat()
    pulse.beat()
    assert counters(hub)["citadel.events.dropped", "{}"] == 4


async def test_it_runs_until_it_is_cancelled_and_leaves_nothing_behind() -> None:
    hub = LiveHub("i")
    recorder = Recorder(publish=hub.publish)
    stream = hub.watch(["span"], 0, "")
    async with asyncio.TaskGroup() as tasks:
        pulse = tasks.create_task(Pulse(recorder, hub).run())
        first = tasks.create_task(asyncio.wait_for(anext(stream), 10))
        while not hub._waiters:
            await asyncio.sleep(0)
        recorder.span("seen", root=True).end()
        batch = await first
        assert [each.topic for each in batch.batches] == ["span"]
        recorder.span("last", root=True).end()
        pulse.cancel()
    assert [row[8] for row in hub._logs["span"]] == ["seen", "last"]
    await stream.aclose()
