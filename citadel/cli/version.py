"""`citadel version`."""

from __future__ import annotations

import platform

import click

from citadel.cli import show
from citadel.cli.session import Session, shared


@click.command()
@shared
def version(session: Session) -> None:
    """The versions of this package and its wire."""
    from citadel.client.client import own_version  # noqa: PLC0415 - gRPC is slow to import
    from citadel.wire.codec import WIRE_VERSION  # noqa: PLC0415 - as above

    said = {
        "citadel": own_version(),
        "wire_version": WIRE_VERSION,
        "python": platform.python_version(),
    }
    if session.json:
        show.as_json(said)
    else:
        show.record(said)
