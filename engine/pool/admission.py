"""Whether a pool takes a command: checked before it is queued, so that a bad one costs nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from citadel.errors import AdapterFailed, InvalidRequest, MessageTooLarge, NotReady, UnknownTool
from citadel.vocabulary import MISSION_CLASSES, PoolState
from engine.pool.frames import MAX_FRAME_BYTES
from engine.pool.scheduler import LATER, NORMAL, URGENT
from engine.pool.settings import MAX_DEADLINE_SECONDS, PoolCommand

MAX_ARGUMENT_BYTES = MAX_FRAME_BYTES // 2
PRIORITY_OF_CLASS: Mapping[str, int] = {
    "": NORMAL,
    "critical": URGENT,
    "standard": NORMAL,
    "training": LATER,
}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def admit(command: PoolCommand, *, state: PoolState, error: str, tools: Collection[str]) -> None:
    """Refuses what cannot run; the tools are none until a worker was ready once.

    Raises:
        InvalidRequest: the id is malformed, or the deadline or the class makes no sense, or a name
            cannot be sent.
        NotReady: the pool drains.
        AdapterFailed: no worker can be started.
        UnknownTool: the adapter has no such tool.
        MessageTooLarge: the arguments do not fit a worker's link.
    """
    if not _ID.fullmatch(command.id):
        raise InvalidRequest(
            f"{command.id!r} is no command id",
            subject=command.id,
            remedy="1 to 64 of A-Z, a-z, 0-9, _ and -",
        )
    if not 0.0 <= command.deadline_seconds <= MAX_DEADLINE_SECONDS:
        raise InvalidRequest(
            f"a deadline of {command.deadline_seconds} s makes no sense",
            subject=command.id,
            remedy=f"0 to {MAX_DEADLINE_SECONDS:g}; 0 is the pool's default",
        )
    if command.mission_class not in PRIORITY_OF_CLASS:
        raise InvalidRequest(
            f"{command.mission_class!r} is no mission class",
            subject=command.id,
            remedy=f"Classes are {', '.join(MISSION_CLASSES)}",
        )
    if command.mission or command.session or command.sentinel:
        _check_names(command)
    if state != "serving":
        _check_state(command, state, error)
    if command.tool not in tools:
        _check_names(command)
        if tools:
            raise UnknownTool(
                f"pool {command.pool} has no tool {command.tool!r}; it has {', '.join(tools)}",
                subject=command.tool,
            )
    if len(command.arguments) > MAX_ARGUMENT_BYTES:
        raise MessageTooLarge(
            f"{len(command.arguments)} bytes of arguments are more than {MAX_ARGUMENT_BYTES}",
            subject=command.tool,
        )


def _check_state(command: PoolCommand, state: PoolState, error: str) -> None:
    if state == "draining" and not command.finishes:
        raise NotReady(f"pool {command.pool} is draining", subject=command.pool)
    if state == "failed":
        raise AdapterFailed(
            f"pool {command.pool} is failed: {error}",
            subject=command.pool,
            remedy=f"Mend the adapter, then: citadel pool recycle {command.pool}",
        )


def _check_names(command: PoolCommand) -> None:
    """Refuses what no frame carries: a worker would be thought to have the command."""
    for what in ("mission", "session", "sentinel", "tool"):
        name: str = getattr(command, what)
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(
                f"the {what} {name!r} of command {command.id} is no text",
                subject=command.id,
                remedy="Give names without lone surrogates",
            ) from None
