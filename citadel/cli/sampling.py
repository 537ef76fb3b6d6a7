"""`citadel sampling`: show, preview, set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import count, date
from citadel.errors import InvalidRequest, NotFound
from citadel.wire.messages import KeepRule, SamplingPolicy, SamplingPreview, SamplingRule

if TYPE_CHECKING:
    from citadel.client.client import Client

ACTOR = "cli"
_NUMBERS = ("rate", "spans_per_second")
_GLOBS = tuple(field.name for field in fields(SamplingRule) if field.name not in ("id", *_NUMBERS))
_KEEP_PARTS = tuple(field.name for field in fields(KeepRule))
_rule = click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    help="A rule of a new policy, in order: id=quiet,mission_class=training,rate=0.1",
)
_rate = click.option(
    "--rate", "rates", multiple=True, metavar="ID=RATE", help="Another rate for a rule there is."
)


_keep = click.option(
    "--keep",
    "keeps",
    multiple=True,
    metavar="KEEP",
    help="A keep-rule of a new policy: id=slow,when=slower_than,seconds=2; none for no keep-rules.",
)


@click.group()
def sampling() -> None:
    """Which traces are kept."""


@sampling.command("show")
@click.option("--revision", default=0, help="An earlier policy; without, the one in force.")
@shared
def show_(session: Session, revision: int) -> None:
    """The policy, rule by rule; the first that matches a trace decides."""
    _show(session, session.ask(lambda client: client.sampling.get(revision)))


@sampling.command()
@_rule
@_rate
@_keep
@click.option("--minutes", default=5, show_default=True, help="How far back to look, at most 60.")
@shared
def preview(
    session: Session,
    rules: tuple[str, ...],
    rates: tuple[str, ...],
    keeps: tuple[str, ...],
    minutes: int,
) -> None:
    """What a policy would have kept of the last minutes' traces."""

    async def ask(client: Client) -> SamplingPreview:
        keep = kept_by(keeps)
        wanted = changed(await client.sampling.get(), rules, rates, only_rules=keep is None)
        return await client.sampling.preview(wanted, keep=keep, minutes=minutes)

    found = session.ask(ask)
    if session.json:
        show.as_json(found)
        return
    show.record(
        {
            "traces": count(found.traces),
            "kept now": f"{count(found.kept_now)}, {count(found.spans_now)} spans,"
            f" {count(found.bytes_now)} bytes",
            "kept then": f"{_between(found.kept_then, found.kept_then_low, found.kept_then_high)},"
            f" {_between(found.spans_then, found.spans_then_low, found.spans_then_high)} spans,"
            f" {count(found.bytes_then)} bytes",
            "with a flag or error, lost": count(found.flagged_lost),
        }
    )
    if found.unmatched:
        show.note(f"nothing matched {', '.join(found.unmatched)}")
    show.table(["rule", "traces:"], sorted(found.matched.items()))
    if found.examples:
        _show_examples(found)


@sampling.command("set")
@_rule
@_rate
@_keep
@click.option("--reason", default="", help="Why, for the audit trail.")
@shared
def set_(
    session: Session,
    rules: tuple[str, ...],
    rates: tuple[str, ...],
    keeps: tuple[str, ...],
    reason: str,
) -> None:
    """Put rules, other rates, or keep-rules in force at once; the change is audited."""

    async def ask(client: Client) -> SamplingPolicy:
        present = await client.sampling.get()
        keep = kept_by(keeps)
        wanted = changed(present, rules, rates, only_rules=keep is None)
        return await client.sampling.apply(
            wanted, keep=keep, revision=present.revision, actor=ACTOR, reason=reason
        )

    _show(session, session.ask(ask))


@sampling.command()
@click.argument("rule", metavar="RULE")
@click.option("--minutes", type=float, required=True, help="How long it lasts.")
@click.option("--reason", required=True, help="Why, for the audit trail.")
@shared
def override(session: Session, rule: str, minutes: float, reason: str) -> None:
    """Put a rule before all others for a while: id=look,pool=python,rate=1."""
    wanted = rule_of(rule)
    found = session.ask(
        lambda client: client.sampling.override(wanted, minutes * 60, actor=ACTOR, reason=reason)
    )
    _show(session, found)


@sampling.command()
@click.argument("override_id", metavar="ID")
@click.option("--reason", default="", help="Why, for the audit trail.")
@shared
def revert(session: Session, override_id: str, reason: str) -> None:
    """End an override now."""
    found = session.ask(
        lambda client: client.sampling.revert(override_id, actor=ACTOR, reason=reason)
    )
    _show(session, found)


@sampling.command()
@click.option("--reason", default="undone", show_default=True, help="Why, for the audit trail.")
@shared
def undo(session: Session, reason: str) -> None:
    """Put the rules and keep-rules of the revision before in force again."""

    async def ask(client: Client) -> SamplingPolicy:
        present = await client.sampling.get()
        if present.revision == 1:
            raise InvalidRequest("there is nothing to undo: this is the first policy")
        before = await client.sampling.get(present.revision - 1)
        return await client.sampling.apply(
            before.rules, keep=before.keep, revision=present.revision, actor=ACTOR, reason=reason
        )

    _show(session, session.ask(ask))


def changed(
    policy: SamplingPolicy, rules: Iterable[str], rates: Iterable[str], *, only_rules: bool = True
) -> tuple[SamplingRule, ...]:
    """The rules of a policy after what the flags say; `only_rules`: they must change something.

    Raises:
        InvalidRequest: a flag cannot be read, or there is none.
        NotFound: a rate is for a rule that is not there.
    """
    wanted = tuple(rule_of(text) for text in rules) or policy.rules
    given = dict(_rate_of(text) for text in rates)
    if only_rules and wanted is policy.rules and not given:
        raise InvalidRequest(
            "nothing is to be changed", remedy="Give --rule RULE, --rate ID=RATE or --keep KEEP"
        )
    known = {rule.id for rule in wanted}
    for name in given:
        if name not in known:
            raise NotFound(
                f"the policy has no rule {name!r}",
                subject=name,
                remedy=f"It has {', '.join(sorted(known)) or 'none'}",
            )
    # A rate in place of a ceiling ends the ceiling.
    return tuple(
        replace(rule, rate=given[rule.id], spans_per_second=0.0) if rule.id in given else rule
        for rule in wanted
    )


def rule_of(text: str) -> SamplingRule:
    """A rule as a flag has it: comma-separated id, globs and rate.

    Raises:
        InvalidRequest: it cannot be read.
    """
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or key not in (*_GLOBS, "id", *_NUMBERS):
            raise InvalidRequest(
                f"{part!r} is no part of a rule",
                subject=part,
                remedy=f"Parts are id, {', '.join(_NUMBERS)}, and globs: {', '.join(_GLOBS)}",
            )
        values[key] = (
            _share(value) if key == "rate" else _number(value) if key in _NUMBERS else value
        )
    if not values.get("id") or not values.keys() & set(_NUMBERS):
        raise InvalidRequest(
            f"the rule {text!r} lacks id, or rate and ceiling",
            subject=text,
            remedy="For instance id=quiet,mission_class=training,rate=0.1",
        )
    return SamplingRule(**values)


def kept_by(texts: Iterable[str]) -> tuple[KeepRule, ...] | None:
    """Keep-rules as flags have them; None without any, and "none" for no keep-rules.

    Raises:
        InvalidRequest: one cannot be read.
    """
    given = tuple(texts)
    if not given:
        return None
    return () if given == ("none",) else tuple(map(_keep_of, given))


def _keep_of(text: str) -> KeepRule:
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or key not in _KEEP_PARTS:
            raise InvalidRequest(
                f"{part!r} is no part of a keep-rule",
                subject=part,
                remedy=f"Parts are {', '.join(_KEEP_PARTS)}",
            )
        values[key] = _number(value) if key == "seconds" else value
    return KeepRule(**values)


def _between(value: int, low: int, high: int) -> str:
    return count(value) if low == high else f"{count(value)} ({count(low)} to {count(high)})"


def _rate_of(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"{text!r} is not ID=RATE", subject=text)
    return name, _share(value)


def _share(text: str) -> float:
    percent = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidRequest(
            f"{text!r} is no rate", subject=text, remedy="Give 0 to 1, or 0% to 100%"
        )
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest(f"{text!r} is no number", subject=text) from None


def _show(session: Session, policy: SamplingPolicy) -> None:
    if session.json:
        show.as_json(policy)
        return
    show.record(
        {
            "revision": policy.revision,
            "by": policy.actor,
            "since": date(policy.time_unix_nanos),
            "reason": policy.reason,
        }
    )
    show.table(
        ["rule", "matches", "rate:"],
        ((rule.id, _matches(rule), _limit(rule)) for rule in policy.rules),
        empty="the policy has no rules: everything is kept",
    )
    if policy.keep:
        show.table(
            ["keep-rule", "matches", "keeps"],
            (
                (rule.id, _matches(rule), f"{rule.when} {rule.seconds or ''}".strip())
                for rule in policy.keep
            ),
        )
    if policy.overrides:
        show.table(
            ["override", "matches", "rate:", "by", "until", "reason"],
            (
                (
                    each.id,
                    _matches(each.rule or SamplingRule()),
                    _limit(each.rule or SamplingRule()),
                    each.owner,
                    date(each.expires_unix_nanos),
                    each.reason,
                )
                for each in policy.overrides
            ),
        )
    for warning in policy.warnings:
        show.note(warning)


def _show_examples(found: SamplingPreview) -> None:
    fates = {True: "kept", False: "dropped"}
    show.table(
        ["trace", "name", "mission", "now", "then", "by"],
        (
            (
                each.trace_id,
                each.name,
                each.mission,
                fates[each.kept_now],
                fates[each.kept_then],
                each.rule_id,
            )
            for each in found.examples
        ),
    )


def _matches(rule: SamplingRule | KeepRule) -> str:
    """Its globs, as a flag has them."""
    parts = (f"{key}={value}" for key in _GLOBS if (value := getattr(rule, key, "")))
    return " ".join(parts) or "everything"


def _limit(rule: SamplingRule) -> str:
    """Its rate, or its ceiling."""
    return f"{rule.spans_per_second:.4g}/s" if rule.spans_per_second else f"{rule.rate:.4g}"
