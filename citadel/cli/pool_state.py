"""`citadel pool`: a worker, sessions and poison, looked at and let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from citadel.cli import show
from citadel.cli.pool_text import show_poison, show_sessions, show_worker
from citadel.cli.session import Session, shared

if TYPE_CHECKING:
    from citadel.client.client import Client
    from citadel.wire.messages import PoisonEntry, SessionStatus

ACTOR = "cli"
reason = click.option("--reason", default="", help="Why, for the audit trail.")


@click.command()
@click.argument("pool")
@click.argument("worker")
@shared
def inspect(session: Session, pool: str, worker: str) -> None:
    """One worker: its life, its memory, what it printed; also one that ended lately."""
    found = session.ask(lambda client: client.pools.inspect_worker(pool, worker))
    if session.json:
        show.as_json(found)
    else:
        show_worker(found)


@click.command()
@click.argument("pool", default="")
@shared
def sessions(session: Session, pool: str) -> None:
    """The open sessions of a pool, or of all."""
    found = session.ask(lambda client: client.pools.sessions(pool))
    if session.json:
        show.as_json(found)
    else:
        show_sessions(found, empty="there are no open sessions")


@click.command("end-session")
@click.argument("pool")
@click.argument("name", metavar="SESSION")
@reason
@shared
def end_session(session: Session, pool: str, name: str, reason: str) -> None:
    """End a session: its worker forgets what it held."""

    async def ask(client: Client) -> SessionStatus:
        return await client.pools.end_session(pool, name, actor=ACTOR, reason=reason)

    ended = session.ask(ask)
    if session.json:
        show.as_json(ended)
    else:
        show.note(f"session {ended.key} of {ended.pool} ended after {ended.commands} commands")


@click.command()
@click.argument("pool", default="")
@click.option("--release", metavar="FINGERPRINT", help="Let this command run again.")
@reason
@shared
def poison(session: Session, pool: str, release: str | None, reason: str) -> None:
    """Commands that killed workers, with what they were given (--json: in full)."""

    async def ask(client: Client) -> tuple[PoisonEntry, ...]:
        if release is None:
            return await client.pools.poison(pool)
        return (await client.pools.release_poison(pool, release, actor=ACTOR, reason=reason),)

    if release is not None and not pool:
        raise click.UsageError("--release needs the POOL as well")
    found = session.ask(ask)
    if session.json:
        show.as_json(found if release is None else found[0])
    elif release is None:
        show_poison(found, empty="no command has killed a worker")
    else:
        show.note(f"{found[0].tool} {found[0].fingerprint} may run again on {pool}")
