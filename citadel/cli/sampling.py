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
from citadel.wire.messages import SamplingPolicy, SamplingPreview, SamplingRule

if TYPE_CHECKING:
    from citadel.client.client import Client

ACTOR = "cli"
_NUMBERS = ("rate", "spans_per_second")
_GLOBS = tuple(field.name for field in fields(SamplingRule) if field.name not in ("id", *_NUMBERS))
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
@click.option("--minutes", default=5, show_default=True, help="How far back to look, at most 60.")
@shared
def preview(session: Session, rules: tuple[str, ...], rates: tuple[str, ...], minutes: int) -> None:
    """What a policy would have kept of the last minutes' traces."""

    async def ask(client: Client) -> SamplingPreview:
        wanted = changed(await client.sampling.get(), rules, rates)
        return await client.sampling.preview(wanted, minutes=minutes)

    found = session.ask(ask)
    if session.json:
        show.as_json(found)
        return
    show.record(
        {
            "traces": count(found.traces),
            "kept now": count(found.kept_now),
            "kept then": count(found.kept_then),
            "with a flag or error, lost": count(found.flagged_lost),
        }
    )
    show.table(["rule", "traces:"], sorted(found.matched.items()))


@sampling.command("set")
@_rule
@_rate
@click.option("--reason", default="", help="Why, for the audit trail.")
@shared
def set_(session: Session, rules: tuple[str, ...], rates: tuple[str, ...], reason: str) -> None:
    """Put rules, or other rates, in force at once; the change is audited."""

    async def ask(client: Client) -> SamplingPolicy:
        present = await client.sampling.get()
        wanted = changed(present, rules, rates)
        return await client.sampling.apply(
            wanted, revision=present.revision, actor=ACTOR, reason=reason
        )

    _show(session, session.ask(ask))


def changed(
    policy: SamplingPolicy, rules: Iterable[str], rates: Iterable[str]
) -> tuple[SamplingRule, ...]:
    """The rules of a policy after what the flags say.

    Raises:
        InvalidRequest: a flag cannot be read, or there is none.
        NotFound: a rate is for a rule that is not there.
    """
    wanted = tuple(rule_of(text) for text in rules) or policy.rules
    given = dict(_rate_of(text) for text in rates)
    if wanted is policy.rules and not given:
        raise InvalidRequest(
            "nothing is to be changed", remedy="Give --rule RULE or --rate ID=RATE"
        )
    known = {rule.id for rule in wanted}
    for name in given:
        if name not in known:
            raise NotFound(
                f"the policy has no rule {name!r}",
                subject=name,
                remedy=f"It has {', '.join(sorted(known)) or 'none'}",
            )
    return tuple(replace(rule, rate=given.get(rule.id, rule.rate)) for rule in wanted)


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
    if not values.get("id") or "rate" not in values:
        raise InvalidRequest(
            f"the rule {text!r} lacks id or rate",
            subject=text,
            remedy="For instance id=quiet,mission_class=training,rate=0.1",
        )
    return SamplingRule(**values)


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
        (
            (
                rule.id,
                " ".join(f"{key}={getattr(rule, key)}" for key in _GLOBS if getattr(rule, key))
                or "everything",
                f"{rule.rate:.4g}",
            )
            for rule in policy.rules
        ),
        empty="the policy has no rules: everything is kept",
    )
