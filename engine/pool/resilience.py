"""What one pool does about commands that fail: breaker, poison list, attempts. The cores' shell.

Loop thread only. Events and topic `poison` are written here.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from citadel.vocabulary import GONE, BreakerState
from citadel.wire.messages import PoisonEntry
from engine.pool.attempts import Attempts
from engine.pool.breaker import Breaker
from engine.pool.call import Call, Counts
from engine.pool.poison import Buffer, Poison, PoisonList
from engine.pool.settings import PoolSettings
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

_SAYS: Mapping[BreakerState, str] = {
    "open": "breaker.open",
    "half_open": "breaker.half_open",
    "closed": "breaker.closed",
}


class Resilience:
    """Judges commands before they begin and when they end."""

    def __init__(
        self,
        settings: PoolSettings,
        recorder: Recorder,
        hub: LiveHub,
        counts: Counts,
        rng: random.Random | None = None,
    ) -> None:
        self.breaker = Breaker(settings.name, settings.resilience)
        self.attempts = Attempts(settings.resilience, rng)
        self._poison = PoisonList(settings.name, settings.resilience.poison_kills)
        self.suspects = self._poison.tools
        """Tools that killed workers: their commands are looked up."""
        self._counts = counts
        self._pool = settings.name
        self._recorder = recorder
        self._hub = hub
        self._said: BreakerState = "closed"

    @property
    def poisoned(self) -> int:
        """Commands that are quarantined."""
        return sum(each.quarantined for each in self._poison.entries.values())

    # ── before ───────────────────────────────────────────────────────────────────────────────

    def fingerprint(self, tool: str, arguments: bytes, buffers: Sequence[memoryview]) -> str:
        """Of a command that killed before; empty: it did not.

        Raises:
            Quarantined: it did so too often.
        """
        return self._poison.check(tool, arguments, buffers)

    def enter(self, now: float) -> bool:
        """Asks the breaker: whether the command is the one that is tried.

        Raises:
            BreakerOpen: nothing is tried now.
        """
        probe = self.breaker.enter(now)
        self._say()
        return probe

    # ── after ────────────────────────────────────────────────────────────────────────────────

    def answered(self, call: Call, seconds: float) -> None:
        """A worker answered a command that is `watched`."""
        if call.probe:
            call.probe = False
            self.breaker.tried()
            self._say()
        if call.fingerprint and (gone := self._poison.answered(call.fingerprint)):
            self._show(gone, GONE)
        if call.tool in self.attempts.hedging:
            self.attempts.took(call.tool, seconds)

    def late(self, call: Call, now: float) -> None:
        """A worker had a command when its time ran out."""
        self.breaker.failed(now, self._counts.ended, probe=call.probe)
        call.probe = False
        self._say()

    def lost(
        self, call: Call, given: Sequence[Buffer], error: str, now: float, *, guilty: bool
    ) -> float | None:
        """A worker died while it ran a command: seconds until it is tried again, None: it is not.

        It was given arguments and their buffers. It is not guilty when somebody killed the worker.
        """
        if guilty:
            self.breaker.failed(now, self._counts.ended, probe=call.probe)
            call.probe = False
            self._say()
            if self._count(call, given, error):
                return None
        return self.attempts.retry_after(call, now)

    def over(self, call: Call) -> None:
        """A command has ended without an answer: if it was the one that was tried, another is."""
        if call.probe:
            self.breaker.abandoned()

    # ── the poison list ──────────────────────────────────────────────────────────────────────

    def poison(self) -> tuple[PoisonEntry, ...]:
        """The commands that killed workers."""
        return tuple(each.entry(self._pool) for each in self._poison.entries.values())

    def release(self, fingerprint: str) -> PoisonEntry:
        """Lets a command through again.

        Raises:
            NotFound: there is none with this fingerprint.
        """
        found = self._poison.release(fingerprint)
        self._show(found, GONE)
        self._recorder.event("poison.released", subject=fingerprint, tool=found.tool)
        return found.entry(self._pool)

    def _count(self, call: Call, given: Sequence[Buffer], error: str) -> bool:
        """Counts a kill; whether the command is quarantined."""
        now_ns = self._recorder.clock()
        arguments, *buffers = given
        found, forgotten = self._poison.killed(call.tool, arguments, error, now_ns, buffers)
        if forgotten is not None:
            self._show(forgotten, GONE)
        if found is None:
            return False
        call.fingerprint, call.watched = found.fingerprint, True
        self._show(found, "quarantined" if found.quarantined else "counted")
        if found.quarantined:
            self._recorder.event(
                "poison.quarantined",
                subject=found.fingerprint,
                severity="error",
                message=f"{found.tool} killed {found.kills} workers: {error}",
                context=None,
                pool=self._pool,
                command=call.name,
            )
        return found.quarantined

    def _show(self, poison: Poison, state: str) -> None:
        row: tuple[Any, ...] = (
            self._pool,
            poison.fingerprint,
            state,
            poison.tool,
            poison.kills,
            poison.error,
            poison.first_ns,
            poison.last_ns,
            poison.size,
        )
        self._hub.publish("poison", row)

    def _say(self) -> None:
        state = self.breaker.state
        if state == self._said:
            return
        self._said = state
        severity = "error" if state == "open" else "info"
        self._recorder.event(_SAYS[state], subject=self._pool, severity=severity, context=None)
