"""When the flight recorder keeps what it holds: rows of the live stream in, incidents out. Pure.

A trigger that has fired is quiet for a while, whatever goes on. Time comes from the caller.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from citadel.errors import InvalidRequest
from citadel.wire.messages import Trigger, Triggers
from engine.telemetry.histogram import quantile

WHENS = ("p99_over", "flag_at_or_above", "pool_starved", "worker_crash")
TOPICS = ("latency", "verdict", "pool", "event")
"""Whose rows triggers look at."""
WINDOW_SECONDS = 10.0
"""Of durations that a p99 rests on."""
LEAST_DURATIONS = 50
COOL_DOWN_SECONDS = 300.0
MAX_TRIGGERS = 32
MAX_SECONDS = 300.0
DEFAULTS = Triggers(
    triggers=(
        Trigger(id="crash", when="worker_crash", enabled=True),
        Trigger(id="starved", when="pool_starved", threshold=30.0, enabled=True),
        Trigger(id="flagged", when="flag_at_or_above", threshold=0.95, enabled=True),
        Trigger(id="slow", when="p99_over", threshold=5.0, subject="citadel.command.*"),
    ),
    before_seconds=30.0,
    after_seconds=10.0,
)
Rows = Sequence[Mapping[str, Any]]


class Fired(NamedTuple):
    """What a trigger saw."""

    trigger: Trigger
    cause: str


@dataclass(slots=True)
class _Durations:
    """Counts by bucket of the last seconds."""

    parts: deque[tuple[int, int, int]]

    def p99(self, now_ns: int) -> tuple[float, int]:
        """In seconds, and of how many."""
        while self.parts and now_ns - self.parts[0][0] > WINDOW_SECONDS * 1e9:
            self.parts.popleft()
        counts: dict[int, int] = {}
        for _, bucket, count in self.parts:
            counts[bucket] = counts.get(bucket, 0) + count
        total = sum(counts.values())
        return (quantile(counts, 0.99) if total else math.nan), total


class Watch:
    """What the triggers have seen so far."""

    def __init__(self, triggers: Iterable[Trigger]) -> None:
        self.triggers = tuple(triggers)
        self._durations: dict[tuple[str, str], _Durations] = {}
        self._quiet_until: dict[str, int] = {}

    def see(self, topic: str, rows: Rows, now_ns: int) -> list[Fired]:
        """Takes rows of a topic; what fires by them."""
        if topic == "latency":
            self._take_durations(rows)
        found: list[Fired] = []
        for trigger in self.triggers:
            if not trigger.enabled or now_ns < self._quiet_until.get(trigger.id, 0):
                continue
            cause = self._cause(trigger, topic, rows, now_ns)
            if cause:
                self._quiet_until[trigger.id] = now_ns + round(COOL_DOWN_SECONDS * 1e9)
                found.append(Fired(trigger, cause))
        return found

    def _cause(self, trigger: Trigger, topic: str, rows: Rows, now_ns: int) -> str:
        """What a trigger finds in the rows; "" when nothing."""
        match trigger.when, topic:
            case "p99_over", "latency":
                return self._slow(trigger, now_ns)
            case "flag_at_or_above", "verdict":
                for row in rows:
                    if row["decision"] != "allow" and row["score"] >= trigger.threshold:
                        return f"{row['layer']} said {row['decision']} with {row['score']:.2f}"
            case "pool_starved", "pool":
                for row in rows:
                    wait = row["queue_wait"]
                    if _fits(trigger, row["name"]) and row["queued"] and wait > trigger.threshold:
                        return f"a command of pool {row['name']} waits for {wait:.1f} s"
            case "worker_crash", "event":
                for row in rows:
                    if row["name"] == "worker.lost" and _fits(trigger, row["subject"]):
                        return f"worker {row['subject']} was lost: {row['message']}".rstrip(": ")
            case _:
                pass
        return ""

    def _slow(self, trigger: Trigger, now_ns: int) -> str:
        for (name, subject), durations in self._durations.items():
            if _fits(trigger, name) or (subject and _fits(trigger, subject)):
                p99, count = durations.p99(now_ns)
                if count >= LEAST_DURATIONS and p99 > trigger.threshold:
                    shown = f"{name} of {subject}" if subject else name
                    return f"the p99 of {shown} is {p99:.3g} s, of {count}"
        return ""

    def _take_durations(self, rows: Rows) -> None:
        for row in rows:
            key = (row["name"], row["subject"])
            found = self._durations.setdefault(key, _Durations(deque(maxlen=4_096)))
            found.parts.append((row["time_ns"], row["bucket"], row["count"]))


def validated(told: Triggers) -> Triggers:
    """The triggers, when each makes sense.

    Raises:
        InvalidRequest: names the trigger and what is wrong with it.
    """
    if len(told.triggers) > MAX_TRIGGERS:
        raise InvalidRequest(f"{len(told.triggers)} triggers are more than {MAX_TRIGGERS}")
    ids = [trigger.id for trigger in told.triggers]
    for trigger in told.triggers:
        if not trigger.id or ids.count(trigger.id) > 1:
            raise InvalidRequest(
                f"a trigger has {'a repeated' if trigger.id else 'no'} id", subject=trigger.id
            )
        if trigger.when not in WHENS:
            raise InvalidRequest(
                f"trigger {trigger.id} does not know {trigger.when!r}",
                subject=trigger.id,
                remedy=f"One of {', '.join(WHENS)}",
            )
        if trigger.when != "worker_crash" and not 0 < trigger.threshold < math.inf:
            raise InvalidRequest(
                f"trigger {trigger.id} has the threshold {trigger.threshold:g}",
                subject=trigger.id,
                remedy="Give a number above 0",
            )
    for name, seconds in (("before", told.before_seconds), ("after", told.after_seconds)):
        if not 0 <= seconds <= MAX_SECONDS:
            raise InvalidRequest(
                f"an incident cannot keep {seconds:g} s {name}",
                subject=f"{name}_seconds",
                remedy=f"At most {MAX_SECONDS:g}",
            )
    return told


def _fits(trigger: Trigger, name: str) -> bool:
    return not trigger.subject or fnmatchcase(name, trigger.subject)
