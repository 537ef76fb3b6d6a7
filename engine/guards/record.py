"""Records verdicts: a span, a row for watchers, counters, and an event when it matters.

Loop thread only. A verdict shows an excerpt with its secrets masked; the text itself is recorded
nowhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from citadel import semconv
from citadel.wire.messages import Verdict
from engine.guards.contract import Finding, GuardRequest, strongest_rules
from engine.guards.evidence import Evidence, evidence
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder, Span

_MASK64 = 2**64 - 1
_EVENTS = {"block": "guard.blocked", "flag": "guard.flagged"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What was in force when a verdict was given."""

    strict: bool
    revision: int


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """Writes down what layers decide."""

    recorder: Recorder
    hub: LiveHub

    def write(
        self, request: GuardRequest, verdict: Verdict, finding: Finding | None, settings: Settings
    ) -> None:
        """Records a verdict that was given just now."""
        shown = evidence(request.text, verdict.reasons, finding)
        span = self._span(request, verdict, shown, settings)
        self.recorder.observe("citadel.guard.duration", verdict.latency_ms / 1e3, verdict.layer)
        self.recorder.count(
            "citadel.guard.verdicts", layer=verdict.layer, decision=verdict.decision
        )
        self.hub.publish("verdict", _row(request, verdict, shown, settings, span))
        name = "guard.failed" if verdict.failure else _EVENTS.get(verdict.decision)
        if name:
            self.recorder.event(
                name,
                subject=verdict.layer,
                severity="warning",
                message=verdict.failure or _rules(shown),
                context=span,
            )

    def _span(
        self, request: GuardRequest, verdict: Verdict, shown: Evidence, settings: Settings
    ) -> Span:
        now = self.recorder.clock()
        span = self.recorder.span(
            f"guard {verdict.layer}",
            parent=request.parent or self.recorder.current(),
            source="guard",
            service=verdict.layer,
            mission=request.mission,
            mission_class=request.mission_class,
            sentinel=request.sentinel,
            start_ns=now - int(verdict.latency_ms * 1e6),
            attributes={
                semconv.CITADEL_GUARD_DECISION: verdict.decision,
                semconv.CITADEL_GUARD_SCORE: round(verdict.score, 4),
                semconv.CITADEL_GUARD_CHANNEL: request.channel,
                semconv.CITADEL_GUARD_STRICT: settings.strict,
                semconv.CITADEL_GUARD_CONFIG_REVISION: settings.revision,
            },
        )
        if shown.reasons:
            span.set(semconv.CITADEL_GUARD_RULES, _rules(shown))
            span.set(semconv.CITADEL_GUARD_EXCERPT, shown.excerpt)
        if verdict.failure:
            span.error(verdict.failure)
        if verdict.decision != "allow":
            span.flag()
        span.end(now)
        return span


def _rules(shown: Evidence) -> str:
    return ", ".join(strongest_rules(shown.reasons))


def _row(
    request: GuardRequest, verdict: Verdict, shown: Evidence, settings: Settings, span: Span
) -> tuple[object, ...]:
    """The columns of topic `verdict`."""
    trace_id = span.context.trace_id
    return (
        span.end_ns,
        verdict.layer,
        verdict.decision,
        verdict.score,
        verdict.latency_ms,
        int(settings.strict),
        request.channel,
        span.mission,
        span.sentinel,
        trace_id >> 64,
        trace_id & _MASK64,
        json.dumps([asdict(reason) for reason in shown.reasons]),
        shown.excerpt,
        verdict.failure,
    )
