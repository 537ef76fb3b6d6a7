"""What the control room can ask of an engine: one value a command, and the sink that takes it.

A command is an RPC's name and its request message; nothing here does I/O. Views make commands with
the functions below and hand them to a `CommandSink` (app/link.py is the real one). The outcome
comes back on the main thread, to `then`. A command that can be undone carries its inverse. Those
on pools are in app/poolcommands.py, on sampling in app/samplingcommands.py, on exporters and
recordings in app/exportcommands.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from citadel.errors import CitadelError
from citadel.wire import messages as wire

ACTOR = "control room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One request to an engine."""

    method: str
    """The RPC: "Service.Method" of `citadel.wire.codec.methods()`."""
    request: Any
    title: str
    """What it does, for notices and the audit: "Resize python to 4 workers"."""
    changes: bool = False
    """Whether it changes the engine; reads raise no notice when they succeed."""
    undo: Command | None = None
    consequence: str = ""
    """What it does to what runs and waits, for the question before it."""
    quiet: bool = False
    """The one who sent it shows how it failed; no notice is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended: a reply, or an error."""

    command: Command
    reply: Any = None
    error: CitadelError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a reply."""
        return self.error is None


Then = Callable[[Outcome], None]


class CommandSink(Protocol):
    """Where views send commands."""

    def send(self, command: Command, then: Then | None = None) -> int:
        """Sends; the outcome comes to `then` on the main thread. Returns a ticket."""
        ...


@dataclass(slots=True)
class RecordingSink:
    """A sink that keeps what it is given: for views drawn without an engine, and for tests."""

    sent: list[Command] = field(default_factory=list[Command])
    waiting: list[Then | None] = field(default_factory=list[Then | None])

    def send(self, command: Command, then: Then | None = None) -> int:
        """Keeps the command; `answer` ends it."""
        self.sent.append(command)
        self.waiting.append(then)
        return len(self.sent)

    def answer(self, reply: Any = None, error: CitadelError | None = None, ticket: int = 0) -> None:
        """Ends one command (the newest, or by ticket) with a reply or an error."""
        index = (ticket or len(self.sent)) - 1
        if (then := self.waiting[index]) is not None:
            then(Outcome(command=self.sent[index], reply=reply, error=error))


def change(reason: str, revision: int = 0) -> wire.Change:
    """What every change carries: who, why, and the revision that it rests on."""
    return wire.Change(revision=revision, actor=ACTOR, reason=reason)


# ── Sentinels ───────────────────────────────────────────────────────────────────────────────────
def spawn_sentinel(
    behaviour: str, *, sentinel: str = "", mission_id: str = "", options_json: str = ""
) -> Command:
    """Starts a Sentinel."""
    return Command(
        method="Sentinels.Spawn",
        request=wire.SpawnRequest(
            id=sentinel,
            behaviour=behaviour,
            mission_id=mission_id,
            options_json=options_json,
            change=change("spawned by hand"),
        ),
        title=f"Spawn {behaviour} {sentinel}".strip(),
        changes=True,
    )


def stop_sentinel(sentinel: str) -> Command:
    """Stops a Sentinel."""
    return Command(
        method="Sentinels.Stop",
        request=wire.StopRequest(id=sentinel, change=change("stopped by hand")),
        title=f"Stop Sentinel {sentinel}",
        changes=True,
    )


def restart_sentinel(sentinel: str) -> Command:
    """Starts a stopped or quarantined Sentinel with a fresh restart count."""
    return Command(
        method="Sentinels.Restart",
        request=wire.RestartRequest(id=sentinel, change=change("restarted by hand")),
        title=f"Restart Sentinel {sentinel}",
        changes=True,
    )


def inspect_sentinel(sentinel: str) -> Command:
    """A Sentinel's state and its last transitions."""
    return Command(
        method="Sentinels.Inspect",
        request=wire.InspectRequest(id=sentinel),
        title=f"Inspect {sentinel}",
    )


# ── missions ────────────────────────────────────────────────────────────────────────────────────
def mission_kinds() -> Command:
    """The kinds of mission that the engine runs."""
    return Command(
        method="Missions.Kinds", request=wire.MissionKindsRequest(), title="Kinds of mission"
    )


def start_mission(
    kind: str,
    parameters_json: str = "",
    *,
    name: str = "",
    mission_class: str = "",
    reason: str = "started by hand",
) -> Command:
    """Starts a mission."""
    return Command(
        method="Missions.Start",
        request=wire.StartMissionRequest(
            kind=kind,
            name=name,
            mission_class=mission_class,
            parameters_json=parameters_json,
            change=change(reason),
        ),
        title=f"Start mission {name or kind}",
        changes=True,
    )


def cancel_mission(mission_id: str, name: str = "") -> Command:
    """Cancels a mission."""
    return Command(
        method="Missions.Cancel",
        request=wire.CancelMissionRequest(id=mission_id, change=change("cancelled by hand")),
        title=f"Cancel mission {name or mission_id}",
        changes=True,
    )


def set_mission_rate(mission_id: str, rate: float, *, was: float | None = None) -> Command:
    """Sets the units a second of a looping mission; 0 is flat out."""

    def to(value: float) -> Command:
        return Command(
            method="Missions.SetRate",
            request=wire.SetRateRequest(id=mission_id, rate=value, change=change("set by hand")),
            title=f"Set the rate of {mission_id} to {value:g}/s",
            changes=True,
        )

    return replace(to(rate), undo=None if was is None else to(was))


def mission_result(mission_id: str) -> Command:
    """A mission's table of results."""
    return Command(
        method="Missions.Result",
        request=wire.MissionResultRequest(id=mission_id),
        title=f"Result of {mission_id}",
    )


# ── defence ─────────────────────────────────────────────────────────────────────────────────────
def layer_configs(rows: Sequence[Mapping[str, Any]]) -> tuple[wire.LayerConfig, ...]:
    """Layers from rows, as the stream carries them."""
    return tuple(wire.LayerConfig(**row) for row in rows)


def apply_defense(
    strict: bool,
    layers: Sequence[wire.LayerConfig],
    revision: int,
    reason: str = "changed in the Defence dock",
) -> Command:
    """Puts a configuration of the guards in force; refused when the revision is stale."""
    return Command(
        method="Defense.Apply",
        request=wire.ApplyDefenseRequest(
            strict=strict, layers=tuple(layers), change=change(reason, revision)
        ),
        title="Change the guards' configuration",
        changes=True,
    )


def preview_defense(strict: bool, layers: Sequence[wire.LayerConfig], minutes: int = 5) -> Command:
    """What a configuration would have blocked."""
    return Command(
        method="Defense.Preview",
        request=wire.PreviewDefenseRequest(strict=strict, layers=tuple(layers), minutes=minutes),
        title="Preview the guards' configuration",
    )


def check_text(text: str, channel: str = "prompt") -> Command:
    """Tries a text against the guards; nothing is sent to a model."""
    return Command(
        method="Defense.Check",
        request=wire.CheckRequest(text=text, channel=channel),
        title="Try a text against the guards",
    )


# ── traces and audit ────────────────────────────────────────────────────────────────────────────
def search_traces(filter_text: str = "", limit: int = 200, since_ns: int = 0) -> Command:
    """The newest traces that match; the reply is a `SearchTracesReply`."""
    return Command(
        method="Traces.Search",
        request=wire.SearchTracesRequest(
            filter=filter_text, limit=limit, since_unix_nanos=since_ns
        ),
        title="Search traces",
    )


def get_trace(trace_id: str) -> Command:
    """All spans of a trace; the reply is a `Trace`."""
    return Command(
        method="Traces.Get",
        request=wire.GetTraceRequest(trace_id=trace_id),
        title=f"Open trace {trace_id[:8]}",
    )


def span_ledger() -> Command:
    """Spans started, kept and dropped, by cause."""
    return Command(method="Traces.Ledger", request=wire.LedgerRequest(), title="Span ledger")


def read_audit(after: int = 0, limit: int = 1000, before: int = 0) -> Command:
    """The audit trail between two entries, and whether its chain holds."""
    return Command(
        method="Engine.Audit",
        request=wire.AuditRequest(after=after, limit=limit, before=before),
        title="Read the audit trail",
    )
