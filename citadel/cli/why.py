"""`citadel why`."""

from __future__ import annotations

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import date
from citadel.trace import parse_trace_id
from citadel.wire.messages import WhyReply

UNKNOWN = 1
_GLOBS = ("mission_class", "mission", "sentinel", "pool", "source", "name")


@click.command()
@click.argument("wanted", metavar="TRACE_OR_COMMAND")
@shared
def why(session: Session, wanted: str) -> None:
    """Why a trace, or that of a command, was kept or dropped; who decided so, when, and why.

    32 hex digits are a trace's id, anything else is a command's. Exits with 1 when nobody can know.
    """
    is_trace = parse_trace_id(wanted) is not None
    found = session.ask(
        lambda client: client.sampling.why(
            wanted if is_trace else "", command_id="" if is_trace else wanted
        )
    )
    if session.json:
        show.as_json(found)
    else:
        show.record(_lines(found))
    if found.fate == "unknown":
        click.get_current_context().exit(UNKNOWN)


def _lines(found: WhyReply) -> dict[str, object]:
    root = " ".join(f"{name}={getattr(found, name)}" for name in _GLOBS if getattr(found, name))
    lines: dict[str, object] = {
        "trace": found.trace_id,
        "fate": f"{found.fate}, by {found.cause}",
        "why": found.explanation,
    }
    if found.decided_unix_nanos:
        lines["decided"] = date(found.decided_unix_nanos)
    if found.rule_id:
        lines["rule"] = f"{found.rule_id}, in revision {found.revision} of the policy"
    if found.actor:
        reason = f": {found.reason}" if found.reason else ""
        lines["set by"] = f"{found.actor}, {date(found.set_unix_nanos)}{reason}"
    if found.threshold:
        sign = ">=" if found.randomness >= found.threshold else "<"
        lines["compared"] = f"{found.randomness:014x} {sign} {found.threshold:014x}"
    if root:
        lines["root"] = root
    for number, text in enumerate(found.also, 1):
        lines["also" if number == 1 else f"also {number}"] = text
    for number, window in enumerate(found.windows, 1):
        since, until = date(window.since_unix_nanos), date(window.until_unix_nanos)
        lines["not known" if number == 1 else f"not known {number}"] = f"{since} to {until}"
    lines["known since"] = date(found.known_since_unix_nanos)
    return lines
