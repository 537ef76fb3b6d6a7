"""The chain: every request passes the layers in order; the worst decision counts.

Each layer has a time budget. One that fails or times out flags (fails open); in strict mode it
blocks (fails closed). What a layer redacts, the later layers and the model get redacted. The
configuration is a versioned document, read once a request, so that a change takes effect between
requests.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from citadel.errors import Blocked, InvalidRequest
from citadel.vocabulary import Decision
from citadel.wire.messages import (
    CheckReply,
    DefenseConfig,
    DefensePreview,
    LayerConfig,
    Verdict,
)
from engine.guards.config import Body, as_message, checked, default_body
from engine.guards.contract import (
    MAX_TEXT,
    ChainVerdict,
    Finding,
    Guard,
    GuardRequest,
    decide,
    redacted,
    worst,
)
from engine.guards.evidence import evidence
from engine.storage.versioned import Versioned, VersionedDocument
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

REMEMBERED = 10_000
"""Requests that previews look back on."""
_MASK64 = 2**64 - 1


@dataclass(frozen=True, slots=True)
class _Seen:
    """What previews need of a request: each layer's finding, without its text."""

    time_ns: int
    findings: tuple[tuple[str, Finding | None], ...]


class Chain:
    """The layers that are built, and the configuration in force."""

    def __init__(
        self,
        layers: Sequence[Guard],
        document: VersionedDocument[Body],
        recorder: Recorder,
        hub: LiveHub,
    ) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._document = document
        self._recorder = recorder
        self._hub = hub
        self._known = default_body(layers)
        self._seen: deque[_Seen] = deque(maxlen=REMEMBERED)
        document.on_change.append(self._publish)

    async def check(self, request: GuardRequest, *, record: bool = True) -> ChainVerdict:
        """Passes a request through the layers; `record=False` tries a text and leaves no trace.

        Raises:
            InvalidRequest: the text is longer than MAX_TEXT.
        """
        if len(request.text) > MAX_TEXT:
            raise InvalidRequest(
                f"a text of {len(request.text)} characters is longer than {MAX_TEXT}",
                remedy="Send it in parts",
            )
        body = self._document.current.body
        text = request.text
        verdicts: list[Verdict] = []
        seen: list[tuple[str, Finding | None]] = []
        for config in body.layers:
            if not config.enabled or config.name not in self._layers:
                continue
            part = GuardRequest(
                text=text,
                channel=request.channel,
                system_prompt=request.system_prompt,
                mission=request.mission,
                mission_class=request.mission_class,
                sentinel=request.sentinel,
                parent=request.parent,
            )
            verdict, finding = await self._layer(part, config, strict=body.strict, record=record)
            verdicts.append(verdict)
            seen.append((config.name, finding))
            if finding:
                text = redacted(text, finding.redactions)
        decision = worst([cast("Decision", v.decision) for v in verdicts])
        if record:
            self._seen.append(_Seen(self._recorder.clock(), tuple(seen)))
            self._recorder.count(
                "citadel.guard.requests", channel=request.channel, decision=decision
            )
        return ChainVerdict(decision=decision, verdicts=tuple(verdicts), text=text)

    async def passed(self, request: GuardRequest) -> str:
        """The text as the model may get it.

        Raises:
            Blocked: a layer blocks it; the text names the layer and its strongest reason.
        """
        result = await self.check(request)
        if result.decision != "block":
            return result.text
        verdict = next(v for v in result.verdicts if v.decision == "block")
        best = max(verdict.reasons, key=lambda reason: reason.score, default=None)
        why = verdict.failure or (f"{best.rule}: {best.text}" if best else "its score")
        raise Blocked(
            f"{verdict.layer} blocked the {request.channel} ({why})",
            subject=verdict.layer,
            details={"score": f"{verdict.score:.2f}", "rule": best.rule if best else ""},
        )

    async def config(self, revision: int = 0) -> DefenseConfig:
        """The configuration in force, or an earlier one."""
        return as_message(await self._document.get(revision))

    async def apply(
        self,
        *,
        strict: bool,
        layers: Sequence[LayerConfig],
        based_on: int,
        actor: str,
        reason: str,
    ) -> DefenseConfig:
        """Puts another configuration in force, from the next request on.

        Raises:
            InvalidRequest: an unknown or missing layer, or a threshold that makes no sense.
            Conflict: it was based on another revision.
        """
        body = checked(self._known, layers, strict=strict)
        applied = await self._document.apply(body, based_on=based_on, actor=actor, reason=reason)
        self._recorder.event(
            "defense.changed",
            subject=f"revision {applied.revision}",
            message=f"{'strict' if strict else 'not strict'}; {reason}".strip("; "),
            actor=actor,
        )
        return as_message(applied)

    def preview(
        self, *, strict: bool, layers: Sequence[LayerConfig], since_ns: int
    ) -> DefensePreview:
        """What a configuration would have done to the remembered requests: exact."""
        then, now = checked(self._known, layers, strict=strict), self._document.current.body
        past = [seen for seen in self._seen if seen.time_ns >= since_ns]
        decisions = [(_again(seen, now), _again(seen, then)) for seen in past]
        return DefensePreview(
            requests=len(past),
            blocked_now=sum(before == "block" for before, _ in decisions),
            blocked_then=sum(after == "block" for _, after in decisions),
            flagged_now=sum(before == "flag" for before, _ in decisions),
            flagged_then=sum(after == "flag" for _, after in decisions),
        )

    async def try_text(self, request: GuardRequest) -> CheckReply:
        """A check for people: recorded nowhere, and nothing reaches a model."""
        result = await self.check(request, record=False)
        return CheckReply(decision=result.decision, verdicts=result.verdicts, text=result.text)

    async def _layer(
        self, request: GuardRequest, config: LayerConfig, *, strict: bool, record: bool
    ) -> tuple[Verdict, Finding | None]:
        layer = self._layers[config.name]
        began = time.perf_counter()
        finding: Finding | None = None
        failure = ""
        try:
            async with asyncio.timeout(config.timeout_ms / 1e3):
                finding = await layer.check(request)
        except TimeoutError:
            failure = f"timeout: no verdict within {config.timeout_ms:g} ms"
        except Exception as error:  # noqa: BLE001 - a layer that raises never lets a request through
            failure = f"error: {type(error).__name__}: {error}"
        took = time.perf_counter() - began
        if finding is None:
            decision: Decision = "block" if strict else "flag"
        else:
            decision = decide(finding, config, strict=strict)
        verdict = Verdict(
            layer=config.name,
            decision=decision,
            score=finding.score if finding else 1.0,
            latency_ms=took * 1e3,
            reasons=finding.reasons if finding else (),
            failure=failure,
        )
        if record:
            self._record(request, verdict, finding, took, strict=strict)
        return verdict, finding

    def _record(
        self,
        request: GuardRequest,
        verdict: Verdict,
        finding: Finding | None,
        took: float,
        *,
        strict: bool,
    ) -> None:
        now = self._recorder.clock()
        excerpt, reasons = evidence(request.text, verdict.reasons, finding)
        span = self._recorder.span(
            f"guard {verdict.layer}",
            parent=request.parent or self._recorder.current(),
            source="guard",
            service=verdict.layer,
            mission=request.mission,
            mission_class=request.mission_class,
            sentinel=request.sentinel,
            start_ns=now - int(took * 1e9),
            attributes={
                "citadel.guard.decision": verdict.decision,
                "citadel.guard.score": round(verdict.score, 4),
                "citadel.guard.channel": request.channel,
                "citadel.guard.strict": strict,
                "citadel.guard.config_revision": self._document.current.revision,
                "citadel.guard.rules": ", ".join(reason["rule"] for reason in reasons),
            },
        )
        if verdict.failure:
            span.error(verdict.failure)
        if verdict.decision != "allow":
            self._recorder.sampler.flag(span.context.trace_id)
        span.end(now)
        self._recorder.observe("citadel.guard.duration", took, verdict.layer)
        self._recorder.count(
            "citadel.guard.verdicts", layer=verdict.layer, decision=verdict.decision
        )
        trace_id = span.context.trace_id
        self._hub.publish(
            "verdict",
            (
                now,
                verdict.layer,
                verdict.decision,
                verdict.score,
                verdict.latency_ms,
                int(strict),
                request.channel,
                span.mission,
                span.sentinel,
                trace_id >> 64,
                trace_id & _MASK64,
                json.dumps(reasons),
                excerpt,
                verdict.failure,
            ),
        )
        name = {"block": "guard.blocked", "flag": "guard.flagged"}.get(verdict.decision)
        if name or verdict.failure:
            self._recorder.event(
                "guard.failed" if verdict.failure else str(name),
                subject=verdict.layer,
                severity="warning",
                message=verdict.failure or ", ".join(reason["rule"] for reason in reasons),
                context=span,
            )

    def _publish(self, current: Versioned[Body]) -> None:
        layers = json.dumps([asdict(layer) for layer in current.body.layers])
        self._hub.publish(
            "defense",
            (
                "defense",
                current.revision,
                int(current.body.strict),
                layers,
                current.actor,
                current.reason,
                current.time_ns,
            ),
        )


def _again(seen: _Seen, body: Body) -> Decision:
    """The decision that a configuration would have made on what was found."""
    configs = {config.name: config for config in body.layers if config.enabled}
    failed: Decision = "block" if body.strict else "flag"
    return worst(
        [
            decide(finding, configs[name], strict=body.strict) if finding else failed
            for name, finding in seen.findings
            if name in configs
        ]
    )
