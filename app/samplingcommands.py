"""What the control room can ask about sampling: the policy, its overrides, and a trace's fate.

Values only, as in app/commands.py: nothing here does I/O. Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.commands import Command, change
from citadel.wire import messages as wire

UNDONE = "undone in the control room"


def sampling_rules(rows: Sequence[Mapping[str, Any]]) -> tuple[wire.SamplingRule, ...]:
    """Rules from rows, as the stream carries them."""
    return tuple(wire.SamplingRule(**row) for row in rows)


def keep_rules(rows: Sequence[Mapping[str, Any]]) -> tuple[wire.KeepRule, ...]:
    """Keep-rules from rows, as the stream carries them."""
    return tuple(wire.KeepRule(**row) for row in rows)


def overrides(rows: Sequence[Mapping[str, Any]]) -> tuple[wire.SamplingOverride, ...]:
    """Overrides from rows, as the stream carries them."""
    return tuple(
        replace(wire.SamplingOverride(**row), rule=wire.SamplingRule(**row["rule"])) for row in rows
    )


def apply_sampling(
    rules: Sequence[wire.SamplingRule],
    revision: int,
    reason: str = "changed in the Sampling dock",
    *,
    keep: Sequence[wire.KeepRule] | None = None,
) -> Command:
    """Puts a sampling policy in force; refused when the revision is stale.

    Without `keep` the keep-rules stay as they are.
    """
    return Command(
        method="Sampling.Apply",
        request=wire.ApplySamplingRequest(
            rules=tuple(rules),
            keep=tuple(keep or ()),
            sets_keep=keep is not None,
            change=change(reason, revision),
        ),
        title="Change the sampling policy",
        changes=True,
    )


def preview_sampling(
    rules: Sequence[wire.SamplingRule],
    minutes: int = 5,
    *,
    keep: Sequence[wire.KeepRule] | None = None,
) -> Command:
    """What the rules would have kept."""
    return Command(
        method="Sampling.Preview",
        request=wire.PreviewSamplingRequest(
            rules=tuple(rules),
            minutes=minutes,
            keep=tuple(keep or ()),
            sets_keep=keep is not None,
        ),
        title="Preview the sampling policy",
    )


def override_sampling(
    rule: wire.SamplingRule, seconds: float, reason: str, owner: str = ""
) -> Command:
    """A rule before all others for a while; undone by ending it."""
    asked = change(reason)
    return Command(
        method="Sampling.Override",
        request=wire.OverrideSamplingRequest(
            rule=rule, seconds=seconds, change=replace(asked, actor=owner or asked.actor)
        ),
        title=f"Override sampling ({rule.id})",
        changes=True,
        undo=_revert(rule.id, UNDONE),
    )


def revert_override(override: wire.SamplingOverride, now_ns: int) -> Command:
    """Ends an override now; undone by putting it in force for the time that it had left."""
    left = (override.expires_unix_nanos - now_ns) / 1e9
    again = None
    if override.rule is not None and left > 1:
        again = replace(
            override_sampling(override.rule, left, override.reason, override.owner), undo=None
        )
    return replace(_revert(override.id, "ended by hand"), undo=again)


def _revert(override_id: str, reason: str) -> Command:
    return Command(
        method="Sampling.Revert",
        request=wire.RevertSamplingRequest(override_id=override_id, change=change(reason)),
        title=f"End override {override_id}",
        changes=True,
    )


def why(*, trace_id: str = "", command_id: str = "") -> Command:
    """Whether a trace was kept, and by whose decision; the reply is a `WhyReply`."""
    return Command(
        method="Sampling.Why",
        request=wire.WhyRequest(trace_id=trace_id, command_id=command_id),
        title=f"Why is {(trace_id or command_id)[:12]} missing",
        quiet=True,
    )
