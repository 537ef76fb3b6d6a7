"""`citadel info`."""

from __future__ import annotations

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.cli.text import ago


@click.command()
@shared
def info(session: Session) -> None:
    """What an engine is: version, host, chat providers, your role."""
    found = session.ask(lambda client: client.info())
    if session.json:
        show.as_json(found)
        return
    show.record(
        {
            "instance": found.instance_id,
            "version": f"{found.version}, wire {found.wire_version}",
            "host": f"{found.hostname}, process {found.pid}",
            "system": f"{found.os}, Python {found.python}",
            "started": ago(found.started_unix_nanos),
            "metrics": f"http://{found.metrics_address}/metrics" if found.metrics_address else "",
            "providers": ", ".join(
                f"{each.name} (simulated)" if each.simulated else f"{each.name} ({each.model})"
                for each in found.providers
            ),
            "your role": found.role,
        }
    )
