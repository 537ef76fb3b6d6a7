"""Whether a pool takes a command: checked before it is queued, so that a bad one costs nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from citadel.errors import AdapterFailed, InvalidRequest, MessageTooLarge, NotReady, UnknownTool
from citadel.vocabulary import PoolState
from citadel.wire.messages import Tool
from engine.pool.frames import MAX_FRAME_BYTES
from engine.pool.settings import PoolCommand

MAX_ARGUMENT_BYTES = MAX_FRAME_BYTES // 2
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def admit(command: PoolCommand, *, state: PoolState, error: str, tools: Sequence[Tool]) -> None:
    """Refuses what cannot run; the tools are none until a worker was ready once.

    Raises:
        InvalidRequest: the id is malformed.
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
    if state == "draining":
        raise NotReady(f"pool {command.pool} is draining", subject=command.pool)
    if state == "failed":
        raise AdapterFailed(
            f"pool {command.pool} is failed: {error}",
            subject=command.pool,
            remedy=f"Mend the adapter, then: citadel pool recycle {command.pool}",
        )
    if tools and all(command.tool != tool.name for tool in tools):
        raise UnknownTool(
            f"pool {command.pool} has no tool {command.tool!r};"
            f" it has {', '.join(tool.name for tool in tools)}",
            subject=command.tool,
        )
    if len(command.arguments) > MAX_ARGUMENT_BYTES:
        raise MessageTooLarge(
            f"{len(command.arguments)} bytes of arguments are more than {MAX_ARGUMENT_BYTES}",
            subject=command.tool,
        )
