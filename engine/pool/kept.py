"""The sessions that a worker holds: their variables, and an adapter of their own where asked for.

Worker's process only. At most one command of a session runs at a time. The engine says when a
session ends and bounds how many there are; this side refuses one more than it was charged with.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping

from citadel import values
from citadel.adapter import Adapter, Session, plain
from citadel.errors import InvalidRequest, QuotaExceeded
from citadel.tools import BoundTool

NO_VARIABLES = b"\x80"


class Kept:
    """One session."""

    __slots__ = ("_packed", "adapter", "session", "tools")

    def __init__(self, key: str, tools: Mapping[str, BoundTool], adapter: Adapter | None) -> None:
        self.session = Session(key)
        self.tools = tools
        self.adapter = adapter
        """Its own; None: the worker's."""
        self._packed = NO_VARIABLES

    def restore(self, packed: bytes) -> None:
        """The engine says what the variables are."""
        self._packed = packed or NO_VARIABLES
        variables = values.unpack(self._packed)
        self.session.variables = variables if isinstance(variables, dict) else {}

    def changed(self, limit: int) -> bytes | None:
        """The variables as they are, when a command has changed them; None when it has not.

        Raises:
            InvalidRequest: they cannot be sent; they are as before the command.
            QuotaExceeded: they are too large; they are as before the command.
        """
        variables = self.session.variables
        if not variables and self._packed == NO_VARIABLES:
            return None
        try:
            # One msgpack map, whatever is in it: the engine shows it, and merges changes into it.
            packed = values.pack_parts(variables, sys.maxsize, plain).joined()
            if len(packed) > limit:
                raise QuotaExceeded(
                    f"session {self.session.key} has {len(packed)} bytes of variables, "
                    f"more than {limit}",
                    subject=self.session.key,
                    remedy="Keep less in it, or raise sessions.variables_bytes of the pool",
                )
        except (InvalidRequest, QuotaExceeded):
            self.restore(self._packed)
            raise
        if packed == self._packed:
            return None
        self._packed = packed
        return packed


class Sessions:
    """All of one worker."""

    def __init__(self, adapter: Adapter, tools: Mapping[str, BoundTool], limit: int) -> None:
        self._adapter = adapter
        self._tools = tools
        self._limit = limit
        self._kept: dict[str, Kept] = {}

    def enter(self, key: str, variables: bytes | None) -> Kept:
        """The session of a command that begins; made when this is its first one here.

        Raises:
            QuotaExceeded: there are as many as there may be.
            Exception: what the set-up of its adapter raised.
        """
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= self._limit:
                raise QuotaExceeded(
                    f"the worker holds {self._limit} sessions and cannot take {key}", subject=key
                )
            kept = self._kept[key] = self._made(key)
        if variables is not None:
            kept.restore(variables)
        return kept

    def end(self, key: str) -> None:
        """Forgets a session; its own adapter is torn down."""
        kept = self._kept.pop(key, None)
        if kept is not None and kept.adapter is not None:
            _tear_down(kept.adapter)
        elif kept is not None:
            _guarded(lambda: self._adapter.session_ended(key))

    def end_all(self) -> None:
        """Forgets all of them, then tears down the worker's own adapter."""
        for key in list(self._kept):
            self.end(key)
        _tear_down(self._adapter)

    def _made(self, key: str) -> Kept:
        if not self._adapter.per_session:
            return Kept(key, self._tools, None)
        adapter = type(self._adapter)()
        adapter.setup()
        return Kept(key, adapter.tools(), adapter)


def _tear_down(adapter: Adapter) -> None:
    _guarded(adapter.teardown)


def _guarded(hook: Callable[[], None]) -> None:
    """A user's hook may raise anything; it is printed, and what comes after goes on."""
    try:
        hook()
    except Exception:  # noqa: BLE001 - see above
        sys.stderr.write(traceback.format_exc())
