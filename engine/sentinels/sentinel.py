"""One Sentinel: identity, state, mailbox, lifecycle. The runtime drives it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from citadel.behaviour import Behaviour, Signal
from citadel.errors import QueueFull
from citadel.vocabulary import SentinelState
from citadel.wire.messages import SentinelStatus
from engine.sentinels.unit import Unit

MAILBOX_LIMIT = 10_000
"""Signals that may wait for one Sentinel."""
HISTORY_LIMIT = 100
"""Transitions that are kept."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A signal in a mailbox, and the unit of work that it belongs to."""

    signal: Signal
    unit: Unit | None


class Sentinel:
    """A supervised agent."""

    def __init__(
        self,
        sentinel_id: str,
        behaviour: Behaviour[Any],
        options: dict[str, Any],
        *,
        mission_id: str,
        mission: str,
        mission_class: str,
    ) -> None:
        self.id = sentinel_id
        self.behaviour = behaviour
        self.options = options
        self.mission_id = mission_id
        self.mission = mission
        self.mission_class = mission_class
        self.supervisor = f"{mission_id}/supervisor" if mission_id else "root"
        self.state: SentinelState = "spawning"
        self.cause = ""
        self.since_ns = time.time_ns()
        self.handled = 0
        self.restarts = 0
        self.restart_times: tuple[float, ...] = ()
        self.waiting_for = 0
        self.data: Any = behaviour.initial(options)
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY_LIMIT)
        self._mailbox: deque[Letter] = deque()
        self._arrived = asyncio.Event()

    @property
    def mailbox(self) -> int:
        """Signals that wait."""
        return len(self._mailbox)

    @property
    def ended(self) -> bool:
        """Whether it takes no more signals."""
        return self.state in ("stopped", "quarantined")

    def to(self, state: SentinelState, cause: str = "") -> bool:
        """Goes to another state; whether it was another."""
        if state == self.state:
            return False
        now = time.time_ns()
        self.history.append(
            {"time_unix_nanos": now, "from": self.state, "to": state, "cause": cause}
        )
        self.state, self.cause, self.since_ns = state, cause, now
        return True

    def put(self, letter: Letter) -> int:
        """Puts a signal into the mailbox; returns how many wait.

        Raises:
            QueueFull: as many wait as MAILBOX_LIMIT says.
        """
        if len(self._mailbox) >= MAILBOX_LIMIT:
            raise QueueFull(
                f"the mailbox of Sentinel {self.id} is full: {MAILBOX_LIMIT} signals wait",
                subject=self.id,
                remedy="Wait, or look at why it does not handle them: citadel sentinel inspect",
            )
        if letter.unit:
            letter.unit.hold()
        self._mailbox.append(letter)
        self._arrived.set()
        return len(self._mailbox)

    async def take(self) -> Letter:
        """The oldest signal, once there is one. Its unit is still held."""
        while not self._mailbox:
            self._arrived.clear()
            await self._arrived.wait()
        return self._mailbox.popleft()

    def empty(self) -> int:
        """Drops what waits; returns how many."""
        dropped = len(self._mailbox)
        while self._mailbox:
            letter = self._mailbox.popleft()
            if letter.unit:
                letter.unit.release()
        return dropped

    def status(self) -> SentinelStatus:
        """The Sentinel, as the wire has it."""
        return SentinelStatus(
            id=self.id,
            behaviour=self.behaviour.name,
            state=self.state,
            mission_id=self.mission_id,
            supervisor=self.supervisor,
            mailbox=self.mailbox,
            handled=self.handled,
            restarts=self.restarts,
            cause=self.cause,
            since_unix_nanos=self.since_ns,
        )

    def row(self, state: str = "") -> tuple[Any, ...]:
        """The columns of topic `sentinel`."""
        return (
            self.id,
            self.behaviour.name,
            state or self.state,
            self.mission_id,
            self.supervisor,
            self.mailbox,
            self.handled,
            self.restarts,
            self.cause,
            self.since_ns,
        )

    def state_json(self) -> str:
        """The behaviour's state, as JSON."""
        return json.dumps(self.data, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, set | frozenset):
        return list(value)  # pyright: ignore[reportUnknownArgumentType]
    return str(value)
