"""Scenes for pictures of the window: a dock or dialog with something in it, on a real engine.

Each scene does what an operator would, and waits until the engine's answer is on screen. Main
thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.exportcommands import apply_exporter
from app.models.rules import stop_of
from app.samplingcommands import apply_sampling, override_sampling, preview_sampling
from citadel.wire.messages import ExporterConfig, SamplingPreview, SamplingRule

if TYPE_CHECKING:
    from app.commands import Outcome
    from app.room import ControlRoom

NAMES = ("sampling", "audit", "why", "exporters")
PATIENCE_SECONDS = 20.0
STEP_SECONDS = 0.05
SETTLE_SECONDS = 0.6
_TAKEN = SamplingRule(id="survey-files", name="survey file", rate=0.2)


async def play(room: ControlRoom, name: str) -> None:
    """Sets a scene."""
    room.window.go("bridge")
    steps = {"sampling": _sampling, "audit": _audit, "why": _why, "exporters": _exporters}
    await steps[name](room)
    await asyncio.sleep(SETTLE_SECONDS)


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for is drawn by Qt
            await asyncio.sleep(STEP_SECONDS)


def _revision(room: ControlRoom) -> int:
    return int(room.store.sampling["revision"]) if room.store.sampling else 0


async def _sampling(room: ControlRoom) -> None:
    """An override that counts down, and a rule that is not applied yet, with its preview."""
    assert room.link is not None
    assert room.furniture is not None
    rule = SamplingRule(id="override-1", name="api.*", rate=0.05)
    room.link.send(override_sampling(rule, 900, "watching what the API costs", "ada"))
    dock = room.furniture.sampling
    await _until(lambda: dock.overrides.cards)
    dock.edit((*(dock.draft.body.rules if dock.draft.body else ()), _TAKEN))
    dock.cards[-1].amount.slider.setValue(stop_of(0.1))
    await _until(lambda: not dock.preview_panel.bars.isHidden())
    dock.show_rule(_TAKEN.id)


async def _audit(room: ControlRoom) -> None:
    """A change of the policy as a diff."""
    assert room.link is not None
    assert room.furniture is not None
    before = room.store.audit.total
    rules = [SamplingRule(id="training", mission_class="training", rate=0.25), _TAKEN]
    room.link.send(apply_sampling(rules, _revision(room), "too many files in the store"))
    await _until(lambda: room.store.audit.total > before)
    room.window.show_dock("audit", True)
    panel = room.furniture.audit.panel
    await _until(lambda: panel.table.filtered.rowCount() > before)
    panel.table.select_row(0)


async def _why(room: ControlRoom) -> None:
    """A trace that a rule dropped."""
    assert room.link is not None
    room.link.send(apply_sampling([_TAKEN], _revision(room), "too many files in the store"))
    lost: list[str] = []

    def look(outcome: Outcome) -> None:
        if isinstance(outcome.reply, SamplingPreview):
            lost.extend(e.trace_id for e in outcome.reply.examples if not e.kept_now)

    while not lost:
        room.link.send(preview_sampling([SamplingRule(id="all", rate=1.0)]), look)
        await asyncio.sleep(SETTLE_SECONDS)
    dialog = room.handlers.ask_why(lost[0])
    await _until(dialog.copy.isVisible)


async def _exporters(room: ControlRoom) -> None:
    """A receiver that is not there, and one that is paused."""
    assert room.link is not None
    assert room.furniture is not None
    for name, paused in (("phoenix", False), ("archive", True)):
        config = ExporterConfig(
            name=name,
            endpoint="http://127.0.0.1:9",
            protocol="http/protobuf",
            signals=("traces", "logs") if paused else ("traces",),
            paused=paused,
        )
        room.link.send(apply_exporter(config, known=False))
        await _until(lambda name=name: name in room.store.exporters)
    room.window.show_dock("exporters", True)
    await _until(lambda: room.store.exporters["phoenix"]["state"] == "retrying")
    room.furniture.exporters.panel.table.select_row(0)
