"""How the control room is started: its flags. Pure; shared by app/main.py and app/render.py."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.targets import Target
from app.theme import ThemeChoice

NO_DISPLAY = 3
"""The exit code where no window can open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the control room is to do."""

    target: Target
    mission: bool = True
    """Whether an embedded engine without a mission gets the survey."""
    theme: ThemeChoice | None = None
    data_dir: Path | None = None
    engine_arguments: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that window and render have in common."""
    parser.add_argument("--connect", metavar="HOST:PORT", help="an engine that runs elsewhere")
    parser.add_argument("--token", default=os.environ.get("CITADEL_TOKEN", ""), help="its token")
    parser.add_argument("--tls", action="store_true", help="encrypt the connection")
    parser.add_argument("--ca", default="", metavar="FILE", help="the authority's certificate")
    parser.add_argument("--config", type=Path, help="settings of the embedded engine")
    parser.add_argument("--data-dir", type=Path, help="where the embedded engine keeps its data")
    parser.add_argument(
        "--no-mission", action="store_true", help="start no survey in an embedded engine"
    )


def from_arguments(given: argparse.Namespace, theme: ThemeChoice | None) -> Options:
    """The options of parsed flags."""
    target = Target()
    if given.connect:
        target = Target(
            mode="remote",
            address=given.connect,
            token=given.token,
            tls=given.tls or bool(given.ca),
            ca=given.ca,
        )
    arguments = ("--config", str(given.config)) if given.config else ()
    recording: Path | None = getattr(given, "file", None)
    if recording is not None:
        arguments = (*arguments, "--recording", str(recording))
    return Options(
        target=target,
        mission=not given.no_mission and recording is None,
        theme=theme,
        data_dir=given.data_dir,
        engine_arguments=arguments,
    )


def parse(arguments: Sequence[str] | None) -> Options:
    """The window's own command line."""
    parser = argparse.ArgumentParser(
        prog="citadel-desktop", description="The control room of Citadel."
    )
    add_arguments(parser)
    parser.add_argument("file", nargs="?", type=Path, help="a recording to open: a .citadel file")
    parser.add_argument("--theme", choices=("system", "dark", "light"), help="colours")
    given = parser.parse_args(arguments)
    return from_arguments(given, given.theme)
