"""Exporters of a user program: its spans, outside of an engine's commands, leave by OTLP.

Any thread may record; each exporter sends in a thread of its own. What waits is sent when the
program ends. A forked child gets exporters of its own, with empty queues.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from citadel import telemetry
from citadel.errors import InvalidRequest
from citadel.otlp.account import Figures
from citadel.otlp.config import configured
from citadel.otlp.probe import probe
from citadel.otlp.resource import Resource
from citadel.otlp.sender import Sender
from citadel.trace import SpanContext, new_trace_id
from citadel.wire.messages import ExporterConfig, TestExporterReply

SHUTDOWN_SECONDS = 5.0
"""What exporters get to send what waits when the program ends."""
SIGNALS = ("traces",)
"""What a program has; metrics and events are an engine's."""


class Export:
    """One exporter of this program."""

    def __init__(self, config: ExporterConfig, resource: Resource) -> None:
        self.config = config
        self._resource = resource
        self._sender = Sender(config, resource)

    def take(self, row: tuple[Any, ...]) -> None:
        """Takes a row of topic `span`."""
        self._sender.spans((row,))

    @property
    def figures(self) -> Figures:
        """How it stands: sent, dropped by cause, queued, the last error."""
        return self._sender.figures()

    def flush(self, seconds: float = SHUTDOWN_SECONDS) -> bool:
        """Sends what waits now; whether all of it is dealt with. Blocks so long."""
        return self._sender.flush(seconds)

    def test(self) -> TestExporterReply:
        """Sends one span, and reports what came back and what to do about it. Blocks."""
        return probe(self.config, self._resource)

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> Figures:
        """Sends what waits, for so long, and ends; what is left is dropped as `shutdown`."""
        _forget(self)
        return self._sender.stop(seconds)

    def begin_again(self) -> None:
        """In a forked child, where the thread is not."""
        self._sender = Sender(self.config, self._resource)


class _Outlet(list[Any]):
    """Stands where a command's spans are collected: each leaves at once, and none stays."""

    def append(self, row: Any, /) -> None:
        """Gives a row to all exporters."""
        for export_ in tuple(_exports):
            export_.take(row)


_exports: list[Export] = []
_scope = telemetry.Scope(source="user", service="", rows=_Outlet())
_lock = threading.Lock()


def export(
    preset: str,
    *,
    service: str,
    attributes: Mapping[str, Any] | None,
    signals: Iterable[str],
    **described: Any,
) -> Export:
    """Begins to send; see `citadel.telemetry.export`.

    Raises:
        InvalidRequest: what is described makes no sense.
        NotReady: what the protocol needs is not installed.
    """
    wanted = tuple(signals) or SIGNALS
    if not_here := [signal for signal in wanted if signal not in SIGNALS]:
        raise InvalidRequest(
            f"a program of its own has no {not_here[0]} to export",
            subject=not_here[0],
            remedy="It has traces; metrics and logs are an engine's: citadel export add",
        )
    config = configured(preset, signals=wanted, **described)
    resource = Resource(
        service=service or _service_name(),
        instance=f"{os.getpid()}",
        attributes=attributes or {},
    )
    made = Export(config, resource)
    with _lock:
        if not _exports:
            telemetry.outside = _root
        _exports.append(made)
    return made


def shutdown(seconds: float = SHUTDOWN_SECONDS) -> None:
    """Ends all exporters of this program."""
    for made in tuple(_exports):
        made.shutdown(seconds)


def _root() -> tuple[telemetry.Scope, SpanContext]:
    """Where a span belongs that no command is around: into a trace of its own."""
    return _scope, SpanContext(new_trace_id(), 0)


def _forget(made: Export) -> None:
    with _lock:
        if made in _exports:
            _exports.remove(made)
        if not _exports:
            telemetry.outside = None


def _service_name() -> str:
    """OpenTelemetry's variable, or the program's name."""
    named = os.environ.get("OTEL_SERVICE_NAME", "")
    return named or Path(sys.argv[0] if sys.argv else "").stem or "python"


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent's may be held by a thread that is not here
    _lock = threading.Lock()
    for made in _exports:
        made.begin_again()


atexit.register(shutdown)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
