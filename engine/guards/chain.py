"""The chain: every request passes the layers in order; the worst decision counts. Loop thread only.

Each layer has a time budget. One that fails or times out flags (fails open); in strict mode it
blocks (fails closed). What a layer redacts, the later layers and the model get redacted. The
configuration is a versioned document, read once a request, so that a change takes effect between
requests.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import cast

from citadel.errors import Blocked, InvalidRequest
from citadel.vocabulary import Decision
from citadel.wire.messages import CheckReply, DefenseConfig, DefensePreview, LayerConfig, Verdict
from engine.guards.config import Body, as_message, checked, completed, default_body
from engine.guards.contract import (
    MAX_TEXT,
    ChainVerdict,
    Finding,
    Guard,
    GuardRequest,
    decided,
    sound,
    strongest_rules,
    worst,
)
from engine.guards.memory import Memory
from engine.guards.record import Settings, VerdictRecord
from engine.guards.redaction import Redacted, redacted
from engine.storage.versioned import Versioned, VersionedDocument
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

NAMED_RULES = 3
"""Rules that the error of a blocked request names; its details hold them all."""


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
        self._memory = Memory()
        self._record = VerdictRecord(recorder, hub)
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
        revision = self._document.current.revision
        body = self._body()
        text = request.text
        steps: list[Redacted] = []
        verdicts: list[Verdict] = []
        findings: list[tuple[str, Finding | None]] = []
        for config in body.layers:
            if not config.enabled:
                continue
            part = replace(request, text=text)
            verdict, finding = await self._ask(part, config, strict=body.strict)
            if record:
                self._record.write(part, verdict, finding, Settings(body.strict, revision))
            verdicts.append(_of_original(verdict, steps))
            findings.append((config.name, finding))
            if finding and finding.redactions:
                steps.append(redacted(text, finding.redactions))
                text = steps[-1].text
        decision = worst([cast("Decision", verdict.decision) for verdict in verdicts])
        if record:
            self._memory.remember(self._recorder.clock(), findings)
            self._recorder.count(
                "citadel.guard.requests", channel=request.channel, decision=decision
            )
        return ChainVerdict(decision=decision, verdicts=tuple(verdicts), text=text)

    async def passed(self, request: GuardRequest) -> str:
        """The text as the model may get it.

        Raises:
            Blocked: a layer blocks it; the error names the layer and its strongest rules.
        """
        result = await self.check(request)
        if result.decision != "block":
            return result.text
        verdict = next(v for v in result.verdicts if v.decision == "block")
        rules = strongest_rules(verdict.reasons)
        why = verdict.failure or ", ".join(rules[:NAMED_RULES]) or "its score"
        raise Blocked(
            f"{verdict.layer} blocked the {request.channel} ({why})",
            subject=verdict.layer,
            details={"score": f"{verdict.score:.2f}", "rules": ", ".join(rules)},
        )

    async def config(self, revision: int = 0) -> DefenseConfig:
        """The configuration in force, or an earlier one.

        Raises:
            NotFound: there is no such revision.
        """
        return as_message(await self._document.get(revision), self._known)

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
        return as_message(applied, self._known)

    def preview(
        self, *, strict: bool, layers: Sequence[LayerConfig], since_ns: int
    ) -> DefensePreview:
        """What a configuration would have done to the remembered requests.

        Raises:
            InvalidRequest: as `apply`.
        """
        then = checked(self._known, layers, strict=strict)
        return self._memory.preview(self._body(), then, since_ns)

    async def try_text(self, request: GuardRequest) -> CheckReply:
        """A check for people: recorded nowhere, and nothing reaches a model."""
        result = await self.check(request, record=False)
        return CheckReply(decision=result.decision, verdicts=result.verdicts, text=result.text)

    async def _ask(
        self, request: GuardRequest, config: LayerConfig, *, strict: bool
    ) -> tuple[Verdict, Finding | None]:
        """One layer's verdict; what it found, unless it failed."""
        began = time.perf_counter()
        finding: Finding | None = None
        failure = ""
        try:
            async with asyncio.timeout(config.timeout_ms / 1e3):
                finding = sound(await self._layers[config.name].check(request), request.text)
        except TimeoutError:
            failure = f"timeout: no verdict within {config.timeout_ms:g} ms"
        except Exception as error:  # noqa: BLE001 - a layer that raises never takes the engine down
            failure = f"error: {type(error).__name__}: {error}"
        score = finding.score if finding else None
        redacts = bool(finding and finding.redactions)
        verdict = Verdict(
            layer=config.name,
            decision=decided(score, config, strict=strict, redacts=redacts),
            score=1.0 if score is None else score,
            latency_ms=(time.perf_counter() - began) * 1e3,
            reasons=finding.reasons if finding else (),
            failure=failure,
        )
        return verdict, finding

    def _body(self) -> Body:
        """What is in force, for exactly the layers that are built."""
        return completed(self._known, self._document.current.body)

    def _publish(self, current: Versioned[Body]) -> None:
        """Tells watchers which configuration is in force."""
        body = completed(self._known, current.body)
        layers = json.dumps([asdict(layer) for layer in body.layers])
        about = (current.actor, current.reason, current.time_ns)
        self._hub.publish(
            "defense", ("defense", current.revision, int(body.strict), layers, *about)
        )


def _of_original(verdict: Verdict, steps: Sequence[Redacted]) -> Verdict:
    """The verdict with ranges of the text that came in, before earlier layers redacted it."""
    reasons = verdict.reasons
    for step in reversed(steps):
        reasons = tuple(step.original(reason) for reason in reasons)
    return replace(verdict, reasons=reasons)
