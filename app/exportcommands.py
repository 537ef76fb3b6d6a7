"""What the control room can ask about exporters and recordings. Values only; any thread."""

from __future__ import annotations

from dataclasses import replace

from app.commands import Command, change
from citadel.wire import messages as wire


# ── exporters ───────────────────────────────────────────────────────────────────────────────────
def list_exporters() -> Command:
    """All exporters with their configuration, secrets masked; a `ListExportersReply`."""
    return Command(
        method="Exporters.List",
        request=wire.ListExportersRequest(),
        title="List the exporters",
        quiet=True,
    )


def apply_exporter(config: wire.ExporterConfig, revision: int = 0, *, known: bool) -> Command:
    """Adds an exporter, or changes the one of its name."""
    verb, done = ("Change", "changed") if known else ("Add", "added")
    return Command(
        method="Exporters.Apply",
        request=wire.ApplyExporterRequest(
            config=config, change=change(f"{done} by hand", revision)
        ),
        title=f"{verb} exporter {config.name}",
        changes=True,
        undo=None if known else remove_exporter(config.name),
    )


def pause_exporter(config: wire.ExporterConfig, *, paused: bool) -> Command:
    """Pauses an exporter, or lets it go on; undone by the opposite."""

    def to(value: bool) -> Command:
        verb = "Pause" if value else "Resume"
        return Command(
            method="Exporters.Apply",
            request=wire.ApplyExporterRequest(
                config=replace(config, paused=value), change=change(f"{verb.lower()}d by hand")
            ),
            title=f"{verb} exporter {config.name}",
            changes=True,
            consequence=(
                "What it would have sent waits up to its queue's limit; beyond that the newest rows"
                " are dropped for it, and counted. Nothing else loses a span."
                if value
                else ""
            ),
        )

    return replace(to(paused), undo=to(not paused))


def remove_exporter(name: str, consequence: str = "") -> Command:
    """Ends an exporter."""
    return Command(
        method="Exporters.Remove",
        request=wire.RemoveExporterRequest(name=name, change=change("removed by hand")),
        title=f"Remove exporter {name}",
        changes=True,
        consequence=consequence,
    )


def try_exporter(config: wire.ExporterConfig) -> Command:
    """Sends one span, and reports what came back; a `TestExporterReply`."""
    return Command(
        method="Exporters.Test",
        request=wire.TestExporterRequest(config=config),
        title=f"Test exporter {config.name}",
        quiet=True,
    )


# ── recordings ──────────────────────────────────────────────────────────────────────────────────
def start_recording(name: str = "", *, seconds: float = 0.0, before: float = 0.0) -> Command:
    """Begins a recording, with what the flight recorder holds of the seconds before."""
    return Command(
        method="Recordings.Start",
        request=wire.StartRecordingRequest(
            name=name,
            seconds=seconds,
            before_seconds=before,
            change=change("started by hand"),
        ),
        title=f"Start recording {name}".strip(),
        changes=True,
    )


def stop_recording(name: str) -> Command:
    """Ends a recording; its file is whole then."""
    return Command(
        method="Recordings.Stop",
        request=wire.StopRecordingRequest(name=name, change=change("stopped by hand")),
        title=f"Stop recording {name}",
        changes=True,
    )


def remove_recording(name: str, consequence: str = "") -> Command:
    """Deletes a recording's file at the engine."""
    return Command(
        method="Recordings.Remove",
        request=wire.RemoveRecordingRequest(name=name, change=change("removed by hand")),
        title=f"Remove recording {name}",
        changes=True,
        consequence=consequence,
    )
