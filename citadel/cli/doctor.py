"""`citadel doctor`: what is there, what is missing, and what to do about it. Changes nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.errors import CitadelError

OLDEST = (3, 11)
FAILED = 1
EXTRAS = {
    "engine": ("pydantic_settings", "sqlalchemy", "alembic", "prometheus_client", "psutil", "re2"),
    "desktop": ("PySide6", "pyqtgraph", "qasync", "keyring"),
    "ray": ("ray",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report. `needed` ones that are not well fail the command."""

    what: str
    well: bool
    found: str
    remedy: str = ""
    needed: bool = True


@click.command()
@click.option("--no-engine", is_flag=True, help="Do not try to start an engine.")
@shared
def doctor(session: Session, no_engine: bool) -> None:
    """Look for what is missing or broken here. Exits with 1 when something needed is."""
    findings = [_python(), _package(), *_extras(), _display()]
    if session.connect:
        findings.append(asyncio.run(_remote(session)))
    elif not no_engine:
        findings.append(asyncio.run(_local()))
    if session.json:
        show.as_json(findings)
    else:
        _show(findings)
    if not all(each.well for each in findings if each.needed):
        click.get_current_context().exit(FAILED)


def _python() -> Finding:
    wanted = ".".join(map(str, OLDEST))
    return Finding(
        what="Python",
        well=sys.version_info >= OLDEST,
        found=f"{platform.python_version()} on {platform.platform(terse=True)}",
        remedy=f"Install Python {wanted} or newer",
    )


def _package() -> Finding:
    try:
        found = version("citadel-command")
    except PackageNotFoundError:
        return Finding(
            what="citadel-command",
            well=False,
            found="a checkout that is not installed",
            remedy="python3 bootstrap.py",
            needed=False,
        )
    return Finding(what="citadel-command", well=True, found=found)


def _extras() -> Iterable[Finding]:
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        yield Finding(
            what=f"extra {extra}",
            well=not missing,
            found=f"there is no {', '.join(missing)}" if missing else "complete",
            remedy=f'pip install "citadel-command[{extra}]"',
            needed=False,
        )


def _display() -> Finding:
    there = not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return Finding(
        what="display",
        well=there,
        found="found" if there else "none, so no window can open",
        remedy="citadel render draws the window to a file",
        needed=False,
    )


async def _remote(session: Session) -> Finding:
    what = f"engine at {session.connect}"
    try:
        async with session.client() as client:
            info = await client.info()
    except CitadelError as error:
        return Finding(what=what, well=False, found=error.message, remedy=error.remedy)
    return Finding(what=what, well=True, found=f"version {info.version}, role {info.role}")


async def _local() -> Finding:
    """Starts an engine as the window would, and asks it what it is."""
    from citadel.client.client import connect  # noqa: PLC0415 - gRPC is slow to import
    from citadel.client.local import LocalEngine  # noqa: PLC0415 - as above

    what = "an engine of our own"
    try:
        with tempfile.TemporaryDirectory(prefix="citadel-doctor-") as folder:
            async with (
                LocalEngine(data_dir=Path(folder)) as engine,
                connect(engine.address, token=engine.token) as client,
            ):
                info = await client.info()
                pools = await client.pools.list()
    except CitadelError as error:
        return Finding(what=what, well=False, found=error.message, remedy=error.remedy)
    failed = [each for each in pools if each.state == "failed"]
    if failed:
        return Finding(what=what, well=False, found=f"pool {failed[0].name}: {failed[0].error}")
    return Finding(what=what, well=True, found=f"started, version {info.version}, and stopped")


def _show(findings: list[Finding]) -> None:
    show.table(
        ["", "what", "found", "what to do"],
        (
            (
                "✓" if each.well else "✕" if each.needed else "–",
                each.what,
                each.found,
                "" if each.well else each.remedy,
            )
            for each in findings
        ),
    )
