"""`citadel bridge`: inspect, generate, lock, check. Needs no engine: imports libraries itself."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from citadel.cli import show
from citadel.cli.session import Session, shared
from citadel.errors import BadConfig, NotReady

if TYPE_CHECKING:
    from citadel.bridge.surface import Surface
    from citadel.bridge.survey import Row, Survey

_manifest = click.argument("manifest", type=click.Path(path_type=Path), default="bridge.yaml")


@click.group()
def bridge() -> None:
    """Installed libraries as tools of a pool."""


@bridge.command()
@click.argument("module")
@click.option("--all", "everything", is_flag=True, help="Methods, attributes and values too.")
@click.option("--manifest", is_flag=True, help="Write a manifest to begin with, no table.")
@shared
def inspect(session: Session, module: str, everything: bool, manifest: bool) -> None:
    """Show what of an installed MODULE a bridge can expose, and how well it is understood."""
    from citadel.bridge import survey  # noqa: PLC0415 - loaded when it is used

    with _libraries():
        found = survey.survey(module)
    if manifest:
        show.text(survey.suggested(found).rstrip())
    elif session.json:
        show.as_json(_as_data(found, everything=everything))
    else:
        _show(found, everything=everything)


@bridge.command()
@_manifest
@click.option("--out", type=click.Path(path_type=Path), help="The module's file; else it is shown.")
@click.option("--report", type=click.Path(path_type=Path), help="Coverage: FILE.md or FILE.json.")
@click.option("--sync", is_flag=True, help="A module for code that blocks.")
@shared
def generate(
    session: Session, manifest: Path, out: Path | None, report: Path | None, sync: bool
) -> None:
    """Write a typed Python module for callers of the bridge of MANIFEST (bridge.yaml)."""
    from citadel.bridge import report as reports  # noqa: PLC0415 - loaded when it is used
    from citadel.bridge import sdk  # noqa: PLC0415 - as above

    surface = _surface(manifest)
    name = "".join(part.title() for part in (out or manifest).stem.split("_") if part.isalnum())
    text = sdk.generate(surface, name if name[:1].isalpha() else "Sdk", sync=sync)
    if out:
        _write(out, text)
    elif not session.json:
        show.text(text.rstrip())
    if report:
        json = report.suffix == ".json"
        _write(report, reports.as_json(surface) if json else reports.as_markdown(surface))
    if session.json:
        show.as_json(reports.covered(surface) | {"module": str(out or "")})
    elif out:
        show.note(f"{len(surface.tools)} tools in {out}: {_tiers(surface)}")


@bridge.command()
@_manifest
@shared
def lock(session: Session, manifest: Path) -> None:
    """Write the lock of MANIFEST (bridge.yaml): versions and signatures as they are installed."""
    from citadel.bridge import lock as locks  # noqa: PLC0415 - loaded when it is used

    surface = _surface(manifest)
    path = surface.loaded.lock_path
    _write(path, locks.text(surface))
    if session.json:
        show.as_json({"lock": str(path), **locks.locked(surface)})
    else:
        show.note(f"{len(surface.tools)} tools in {path}")


@bridge.command()
@_manifest
@shared
def check(session: Session, manifest: Path) -> None:
    """Compare what is installed with the lock of MANIFEST; exits with 1 when it differs."""
    from citadel.bridge import lock as locks  # noqa: PLC0415 - loaded when it is used

    surface = _surface(manifest)
    path = surface.loaded.lock_path
    if not path.exists():
        raise NotReady(
            f"there is no lock {path}",
            subject=str(path),
            remedy=f"Write it: citadel bridge lock {manifest}",
        )
    differences = locks.differences(surface)
    if session.json:
        show.as_json({"lock": str(path), "differences": differences})
    else:
        for each in differences:
            show.text(each)
        said = f"differs from {path} ({locks.REMEDY})" if differences else f"is as {path} says"
        show.note(f"what is installed {said}")
    if differences:
        click.get_current_context().exit(1)


def _surface(manifest: Path) -> Surface:
    from citadel.bridge.manifest import load  # noqa: PLC0415 - loaded when it is used
    from citadel.bridge.surface import resolve  # noqa: PLC0415 - as above

    with _libraries():
        return resolve(load(manifest))


@contextlib.contextmanager
def _libraries() -> Generator[None]:
    """Where libraries are imported: what they print is no result; modules here are found last."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadConfig(
            f"cannot write {path}: {error.strerror}",
            subject=str(path),
            remedy="Give a file in a folder that is there and may be written to",
        ) from error


def _tiers(surface: Surface) -> str:
    counts = Counter(each.shape.tier for each in surface.tools.values())
    return ", ".join(f"{count} {tier}" for tier, count in counts.most_common())


def _as_data(found: Survey, *, everything: bool) -> dict[str, object]:
    rows = _rows(found, everything=everything)
    return {
        "module": found.module,
        "tiers": dict(Counter(row.tier for row in rows if row.tier)),
        "names": [
            {
                "name": row.name,
                "role": row.role,
                "tier": row.tier,
                "signature": row.signature,
                "schema": row.schema,
                "note": row.note,
                "doc": row.doc,
            }
            for row in rows
        ],
    }


def _rows(found: Survey, *, everything: bool) -> list[Row]:
    rows: list[Row] = []
    for row in found.rows:
        if row.exposed or everything:
            rows.append(row)
        if everything:
            rows += found.members.get(row.name, ())
    return rows


def _show(found: Survey, *, everything: bool) -> None:
    rows = _rows(found, everything=everything)
    show.table(
        ["name", "what", "tier", "signature", "schema", "note"],
        (
            (
                row.name,
                row.role,
                row.tier or "",
                row.signature,
                ("yes" if row.schema else "no") if row.tier else "",
                row.note or _members(found, row, everything=everything),
            )
            for row in rows
        ),
        empty=f"module {found.module} has nothing public that can be called",
    )
    counts = Counter(row.tier for row in rows if row.tier)
    told = ", ".join(f"{count} {tier}" for tier, count in counts.most_common())
    show.note(f"{sum(counts.values())} names: {told or 'none'}; a manifest of them: --manifest")


def _members(found: Survey, row: Row, *, everything: bool) -> str:
    if row.alias:
        return f"the same as {row.alias}"
    members = found.members.get(row.name, ())
    if everything or row.role != "class" or not members:
        return ""
    return f"{len(members)} methods and attributes (--all)"
