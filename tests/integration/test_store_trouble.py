"""Trouble with the span store, as the engine tells it."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import pytest

from citadel import connect
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest
from engine.main import _state
from engine.telemetry.pulse import Pulse
from engine.telemetry.settings import TelemetrySection
from tests.engine.telemetry.span_rows import span

PAGE = 4096


@pytest.mark.emits("store.set_aside")
async def test_a_day_that_was_damaged_while_the_engine_was_off_is_set_aside(
    headless: Any, saw: Any, tmp_path: Path
) -> None:
    engine = await headless()
    await engine.end(signal.SIGTERM)
    (day,) = (tmp_path / "data" / "spans").glob("*.db")
    content = day.read_bytes()
    assert len(content) > PAGE
    day.write_bytes(content[:PAGE] + b"\xff" * (len(content) - PAGE))
    engine = await headless()
    async with connect(engine.address) as client:
        reply = await client.connection.call("Engine.Snapshot", SnapshotRequest(topics=("event",)))
        (told,) = (r for r in rows(unpack(reply.batches[0])) if r["name"] == "store.set_aside")
        assert "corrupt" in told["subject"]
        saw(told["name"])


@pytest.mark.emits("store.failed", "citadel.store.lost")
async def test_spans_that_cannot_be_written_are_told_and_counted(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        state = await _state(tmp_path, TelemetrySection(), stack)
        assert state.spans.write([span(1, start_ns=2**70)]) == 0
        await state.spans.flush()
        await asyncio.sleep(0)  # the writer's thread has asked the loop to tell
        pulse = Pulse(state.recorder, state.hub)
        pulse.beat()
        assert pulse.totals["citadel.store.lost", ()] == 1
