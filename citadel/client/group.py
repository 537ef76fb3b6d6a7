"""What the groups of the client's methods have in common."""

from __future__ import annotations

from typing import Any

from citadel.client.connection import Connection
from citadel.wire.messages import Change

DEFAULT_ACTOR = "sdk"


def change(revision: int, actor: str, reason: str) -> Change:
    """Who changes what, based on what, and why."""
    return Change(revision=revision, actor=actor or DEFAULT_ACTOR, reason=reason)


class Group:
    """The methods of one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _call(self, method: str, request: Any, **options: Any) -> Any:
        return await self._connection.call(method, request, **options)
