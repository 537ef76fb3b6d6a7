"""Service Sampling: the policy that says which traces are kept. Loop thread only.

Also puts each new policy in force: the sampler takes it at once, watchers see it. Overrides end by
themselves: `run` puts a policy without them in force when their time is over, also when it was over
before the engine started.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from citadel import semconv
from citadel.errors import Conflict, InvalidRequest, NotFound
from citadel.trace import parse_trace_id
from citadel.wire.messages import (
    ApplySamplingRequest,
    Change,
    GetSamplingRequest,
    KeepRule,
    OverrideSamplingRequest,
    PreviewSamplingRequest,
    RevertSamplingRequest,
    SamplingOverride,
    SamplingPolicy,
    SamplingPreview,
    SamplingRule,
    WhyReply,
    WhyRequest,
)
from engine.api.dispatch import Call
from engine.storage.versioned import Versioned, VersionedDocument
from engine.telemetry.decisions import DecisionLog
from engine.telemetry.hub import LiveHub
from engine.telemetry.policy import (
    MAX_OVERRIDE_SECONDS,
    MAX_OVERRIDES,
    Policy,
    validated,
    validated_keep,
    warnings,
)
from engine.telemetry.preview import past_of, preview
from engine.telemetry.recorder import Recorder
from engine.telemetry.store import SpanStore
from engine.telemetry.why import LOSSES, Evidence, explain

DEFAULT_MINUTES = 5
MAX_MINUTES = 60
SET_BY_ENGINE = "engine"
LOOK_SECONDS = 30.0
"""Between two looks at overrides that are to end."""
MAX_REVISIONS_BACK = 256
"""Revisions that are looked through for the one that set a rule."""


class SamplingServicer:
    """Sampling's RPCs."""

    def __init__(
        self,
        document: VersionedDocument[Policy],
        recorder: Recorder,
        hub: LiveHub,
        spans: SpanStore,
        log: DecisionLog,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._document = document
        self._spans = spans
        self._log = log
        self._recorder = recorder
        self._hub = hub
        self._clock = clock
        self._changed = asyncio.Event()
        document.on_change.append(self._put_in_force)

    async def get(self, request: GetSamplingRequest, call: Call) -> SamplingPolicy:
        """The policy in force, or an earlier one."""
        del call
        return self._policy(await self._document.get(request.revision))

    async def apply(self, request: ApplySamplingRequest, call: Call) -> SamplingPolicy:
        """Puts other rules and keep-rules in force."""
        rules = validated(request.rules)
        keep = validated_keep(request.keep) if request.sets_keep else None

        def changed(policy: Policy) -> Policy:
            return replace(policy, rules=rules, keep=policy.keep if keep is None else keep)

        return await self._change(changed, request.change, call)

    async def override(self, request: OverrideSamplingRequest, call: Call) -> SamplingPolicy:
        """Puts a rule before all others, for a while."""
        change, rule = request.change, request.rule
        if rule is None:
            raise InvalidRequest("an override needs a rule", subject="rule")
        if not 0 < request.seconds <= MAX_OVERRIDE_SECONDS:
            raise InvalidRequest(
                f"an override of {request.seconds:g} s has no end that it can have",
                subject="seconds",
                remedy=f"More than 0, at most {MAX_OVERRIDE_SECONDS:g}",
            )
        if change is None or not change.reason.strip():
            raise InvalidRequest("an override needs a reason", subject="reason")
        validated([rule])
        now = self._clock()
        made = SamplingOverride(
            id=rule.id,
            rule=rule,
            owner=call.actor(change),
            reason=change.reason,
            since_unix_nanos=now,
            expires_unix_nanos=now + round(request.seconds * 1e9),
        )

        def changed(policy: Policy) -> Policy:
            if any(each.id == made.id for each in policy.overrides):
                raise Conflict(
                    f"there is an override {made.id} already",
                    subject=made.id,
                    remedy="Revert it first, or give another id",
                )
            if len(policy.overrides) >= MAX_OVERRIDES:
                raise InvalidRequest(f"there are {MAX_OVERRIDES} overrides already")
            return replace(policy, overrides=(*policy.overrides, made))

        return await self._change(changed, change, call)

    async def revert(self, request: RevertSamplingRequest, call: Call) -> SamplingPolicy:
        """Ends an override."""

        def changed(policy: Policy) -> Policy:
            left = tuple(each for each in policy.overrides if each.id != request.override_id)
            if len(left) == len(policy.overrides):
                known = ", ".join(each.id for each in policy.overrides)
                raise NotFound(
                    f"there is no override {request.override_id!r}",
                    subject=request.override_id,
                    remedy=f"There are {known}" if known else "There are none",
                )
            return replace(policy, overrides=left)

        return await self._change(changed, request.change, call)

    async def preview(self, request: PreviewSamplingRequest, call: Call) -> SamplingPreview:
        """What a policy would have kept of the last minutes' traces."""
        del call
        minutes = checked_minutes(request.minutes)
        policy = replace(
            self._document.current.body,
            rules=validated(request.rules),
            **({"keep": validated_keep(request.keep)} if request.sets_keep else {}),
        )
        now = self._clock()
        sampler, tail = self._recorder.sampler, self._recorder.tail
        past = past_of(sampler, tail.kinds.p99s(), now - minutes * 60_000_000_000, now)
        return await asyncio.to_thread(preview, past, policy)

    async def why(self, request: WhyRequest, call: Call) -> WhyReply:
        """Whether a trace was kept, and by whose decision."""
        del call
        evidence = await self._evidence(await self._asked(request))
        reply = explain(evidence)
        if not reply.revision:
            return reply
        with contextlib.suppress(NotFound):
            found = await self._set_by(reply)
            reply = replace(
                reply, actor=found.actor, reason=found.reason, set_unix_nanos=found.time_ns
            )
            owned = [each for each in found.body.overrides if each.id == reply.rule_id]
            if reply.cause in ("override", "ceiling") and owned:
                reply = replace(
                    reply,
                    actor=owned[0].owner,
                    reason=owned[0].reason,
                    set_unix_nanos=owned[0].since_unix_nanos,
                )
        return reply

    async def _set_by(self, reply: WhyReply) -> Versioned[Policy]:
        """The revision that put the rule in force as it was then.

        Raises:
            NotFound: the revision is not kept any more.
        """
        found = await self._document.get(reply.revision)
        wanted = _rule_of(found.body, reply.rule_id)
        for _ in range(MAX_REVISIONS_BACK):
            if wanted is None or found.revision == 1:
                break
            before = await self._document.get(found.revision - 1)
            if _rule_of(before.body, reply.rule_id) != wanted:
                break
            found = before
        return found

    async def _asked(self, request: WhyRequest) -> int:
        """The trace that is asked for.

        Raises:
            InvalidRequest: neither a trace nor a command is named, or its id is none.
            NotFound: no command of that id is known.
        """
        if request.command_id and not request.trace_id:
            found = await asyncio.to_thread(self._log.trace_of, request.command_id)
            if found is None:
                await self._written()
                found = await asyncio.to_thread(self._log.trace_of, request.command_id)
            if found is None:
                raise NotFound(
                    f"no command {request.command_id} is known",
                    subject=request.command_id,
                    remedy="It never came here, or is older than what is known of commands",
                )
            return found
        trace_id = parse_trace_id(request.trace_id)
        if trace_id is None:
            raise InvalidRequest(
                f"{request.trace_id!r} is no trace id",
                subject=request.trace_id,
                remedy="Give 32 hex digits, or the id of a command",
            )
        return trace_id

    async def _written(self) -> None:
        """Waits until what was decided and recorded a moment ago is on disk."""
        self._recorder.drain()
        await self._log.flush()
        await self._spans.flush()

    async def _evidence(self, trace_id: int) -> Evidence:
        decisions = await asyncio.to_thread(self._log.of, trace_id)
        stored = 0
        if not decisions or any(each.kept or each.cause in LOSSES for each in decisions):
            # Something may have befallen it since; a trace that was dropped stays so.
            await self._written()
            decisions = await asyncio.to_thread(self._log.of, trace_id)
            stored = len((await self._spans.get(trace_id, 1))[0])
        trace = self._recorder.sampler.recorded(trace_id)
        return Evidence(
            trace_id=trace_id,
            decisions=decisions,
            stored=stored,
            held=(len(trace.held or ()) + trace.open) if trace and trace.undecided else 0,
            retained_since_ns=self._spans.retained_since_ns,
            known_since_ns=self._log.known_since_ns,
            windows=self._log.windows,
        )

    async def run(self) -> None:
        """Ends overrides when their time is over; until cancelled."""
        while True:
            await self._expire()
            ends = [each.expires_unix_nanos for each in self._document.current.body.overrides]
            self._changed.clear()
            try:
                # Looked at now and then all the same: the clock may jump.
                left = min((min(ends) - self._clock()) / 1e9, LOOK_SECONDS) if ends else None
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _expire(self) -> None:
        now = self._clock()
        over = [
            each.id
            for each in self._document.current.body.overrides
            if each.expires_unix_nanos <= now
        ]
        if not over:
            return
        body = self._document.current.body
        left = tuple(each for each in body.overrides if each.id not in over)
        # Another change may come first: then it is tried again on what that has put in force.
        try:
            await self._document.apply(
                replace(body, overrides=left),
                based_on=self._document.current.revision,
                actor=SET_BY_ENGINE,
                reason=f"override {', '.join(over)} expired",
            )
        except Conflict:
            self._changed.set()
        except Exception as error:  # noqa: BLE001 - whatever the database raises: its time is over
            self._recorder.sampler.put(
                replace(body, overrides=left), self._document.current.revision
            )
            self._recorder.event(
                "store.failed",
                severity="error",
                message=f"the end of override {', '.join(over)} is not written yet: {error}",
                context=None,
            )
            await asyncio.sleep(LOOK_SECONDS)

    async def _change(
        self, changed: Callable[[Policy], Policy], change: Change | None, call: Call
    ) -> SamplingPolicy:
        """Puts in force what a change makes of the present policy.

        Raises:
            Conflict: another revision is in force than the one the change was based on.
        """
        applied = await self._document.change(
            changed,
            based_on=change.revision if change else 0,
            actor=call.actor(change),
            reason=change.reason if change else "",
        )
        if call.span is not None:
            call.span.event(
                "sampling.changed", **{semconv.CITADEL_SAMPLING_REVISION: applied.revision}
            )
        return self._policy(applied)

    def _put_in_force(self, current: Versioned[Policy]) -> None:
        policy = current.body
        self._recorder.sampler.put(policy, current.revision)
        self._hub.publish(
            "sampling",
            (
                "sampling",
                current.revision,
                _json(policy.rules),
                current.actor,
                current.reason,
                current.time_ns,
                _json(policy.keep),
                _json(policy.overrides),
                json.dumps(warnings(policy, self._recorder.sampler.roots)),
            ),
        )
        self._changed.set()
        if current.revision > 1:
            self._recorder.event(
                "sampling.changed",
                subject=f"revision {current.revision}",
                message=f"by {current.actor}: {current.reason}".removesuffix(": "),
                revision=current.revision,
            )

    def _policy(self, versioned: Versioned[Policy]) -> SamplingPolicy:
        policy = versioned.body
        return SamplingPolicy(
            revision=versioned.revision,
            rules=policy.rules,
            actor=versioned.actor,
            reason=versioned.reason,
            time_unix_nanos=versioned.time_ns,
            keep=policy.keep,
            overrides=policy.overrides,
            warnings=tuple(warnings(policy, self._recorder.sampler.roots)),
        )


def checked_minutes(minutes: int) -> int:
    """How far a preview looks back.

    Raises:
        InvalidRequest: further than it can.
    """
    if minutes > MAX_MINUTES:
        raise InvalidRequest(
            f"a preview of {minutes} minutes is longer than {MAX_MINUTES}", subject="minutes"
        )
    return minutes or DEFAULT_MINUTES


def _json(values: Sequence[Any]) -> str:
    return json.dumps([asdict(value) for value in values])


def _rule_of(policy: Policy, rule_id: str) -> SamplingRule | KeepRule | None:
    """A rule, keep-rule or override's rule by its id."""
    rules: list[SamplingRule | KeepRule] = [rule for rule, _ in policy.ordered()]
    return next((rule for rule in [*rules, *policy.keep] if rule.id == rule_id), None)
