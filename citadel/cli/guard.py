"""`citadel guard`: show, check, strict, set."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import date
from citadel.errors import NotFound
from citadel.vocabulary import CHANNELS
from citadel.wire.messages import CheckReply, DefenseConfig, DefensePreview, Verdict

if TYPE_CHECKING:
    from citadel.client.client import Client

ACTOR = "cli"
BLOCKED = 1
_reason = click.option("--reason", default="", help="Why, for the audit trail.")
_preview = click.option(
    "--preview", is_flag=True, help="Say what it would have done to the last minutes; change none."
)
Outcome = tuple[DefenseConfig, DefensePreview | None]


@click.group()
def guard() -> None:
    """Try, tune and tighten the guards."""


@guard.command("show")
@click.option("--revision", default=0, help="An earlier one; without, the one in force.")
@shared
def show_(session: Session, revision: int) -> None:
    """The layers and their thresholds, in the order that a request passes them."""
    _show(session, session.ask(lambda client: client.defense.get(revision)))


@guard.command()
@click.argument("text")
@click.option("--channel", type=click.Choice(CHANNELS), default="prompt", show_default=True)
@shared
def check(session: Session, text: str, channel: str) -> None:
    """Try a TEXT ("-": standard input) against the guards; exits with 1 when it is blocked."""
    given = sys.stdin.read() if text == "-" else text
    reply = session.ask(lambda client: client.defense.check(given, channel))
    if session.json:
        show.as_json(reply)
    else:
        _show_reply(reply)
    if reply.decision == "block":
        click.get_current_context().exit(BLOCKED)


@guard.command()
@click.argument("state", type=click.Choice(("on", "off")))
@_preview
@_reason
@shared
def strict(session: Session, state: str, preview: bool, reason: str) -> None:
    """Strict mode: flags block, and a layer that fails or times out blocks."""
    _apply(session, lambda config: replace(config, strict=state == "on"), preview, reason)


@guard.command("set")
@click.argument("layer")
@click.option("--enable/--disable", "enabled", default=None, help="Switch the layer.")
@click.option("--flag", type=click.FloatRange(0, 1), help="Scores at or above flag.")
@click.option("--block", type=click.FloatRange(0, 1), help="Scores at or above block.")
@click.option("--timeout-ms", type=click.FloatRange(min=0.1), help="What it has to answer.")
@_preview
@_reason
@shared
def set_(
    session: Session,
    layer: str,
    enabled: bool | None,
    flag: float | None,
    block: float | None,
    timeout_ms: float | None,
    preview: bool,
    reason: str,
) -> None:
    """Switch a layer, or set its thresholds."""
    given = {
        "enabled": enabled,
        "flag_threshold": flag,
        "block_threshold": block,
        "timeout_ms": timeout_ms,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise click.UsageError(
            "nothing is to be changed: give --enable, --disable, --flag, --block or --timeout-ms"
        )

    def change(config: DefenseConfig) -> DefenseConfig:
        names = [each.name for each in config.layers]
        if layer not in names:
            raise NotFound(
                f"there is no layer {layer!r}",
                subject=layer,
                remedy=f"Layers are {', '.join(names)}",
            )
        return replace(
            config,
            layers=tuple(
                replace(each, **values) if each.name == layer else each for each in config.layers
            ),
        )

    _apply(session, change, preview, reason)


def _apply(
    session: Session,
    change: Callable[[DefenseConfig], DefenseConfig],
    preview: bool,
    reason: str,
) -> None:
    async def ask(client: Client) -> Outcome:
        present = await client.defense.get()
        wanted = change(present)
        if preview:
            return wanted, await client.defense.preview(strict=wanted.strict, layers=wanted.layers)
        applied = await client.defense.apply(
            strict=wanted.strict,
            layers=wanted.layers,
            revision=present.revision,
            actor=ACTOR,
            reason=reason,
        )
        return applied, None

    config, foreseen = session.ask(ask)
    if foreseen is None:
        _show(session, config)
    elif session.json:
        show.as_json(foreseen)
    else:
        show.table(
            ["of the last minutes", "now:", "then:"],
            [
                ("requests", foreseen.requests, foreseen.requests),
                ("flagged", foreseen.flagged_now, foreseen.flagged_then),
                ("blocked", foreseen.blocked_now, foreseen.blocked_then),
            ],
        )


def _show(session: Session, config: DefenseConfig) -> None:
    if session.json:
        show.as_json(config)
        return
    show.record(
        {
            "strict": "on" if config.strict else "off",
            "revision": config.revision,
            "by": config.actor,
            "since": date(config.time_unix_nanos),
            "reason": config.reason,
        }
    )
    show.table(
        ["layer", "on", "flags at:", "blocks at:", "timeout:", "what it looks for"],
        (
            (
                each.name,
                "yes" if each.enabled else "no",
                f"{each.flag_threshold:.2f}",
                f"{each.block_threshold:.2f}",
                f"{each.timeout_ms:g} ms",
                each.description,
            )
            for each in config.layers
        ),
    )


def _show_reply(reply: CheckReply) -> None:
    show.record({"decision": reply.decision, "text as the model gets it": reply.text})
    show.table(
        ["layer", "verdict", "score:", "took:", "why"],
        (
            (
                each.layer,
                each.decision,
                f"{each.score:.2f}",
                f"{each.latency_ms:.2f} ms",
                each.failure or _reasons(each),
            )
            for each in reply.verdicts
        ),
    )


def _reasons(verdict: Verdict) -> str:
    return "\n".join(
        f"{reason.rule}: {reason.text}"
        + (f" (characters {reason.start}–{reason.end})" if reason.end > reason.start else "")
        for reason in verdict.reasons
    )
