"""The audit trail as servicers see it: one call appends an entry, shows it to watchers, records it.

Loop thread only; the store has a thread of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citadel.wire.messages import Change
from engine.api.dispatch import Call
from engine.storage.store import AuditEntry, OperationalStore
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder


class Trail:
    """Who changed what."""

    def __init__(self, store: OperationalStore, hub: LiveHub, recorder: Recorder) -> None:
        self._store = store
        self._hub = hub
        self._recorder = recorder

    async def append(
        self,
        call: Call,
        action: str,
        subject: str,
        *,
        change: Change | None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds an entry; the change it tells of has been made."""
        reason = change.reason if change else ""
        entry = await self._store.append_audit(
            call.actor(change), action, subject, before, after, reason
        )
        self.show(entry)

    def show(self, entry: AuditEntry) -> None:
        """Tells watchers of an entry that was stored; documents call it for theirs."""
        self._hub.publish("audit", entry.row())
        self._recorder.event(
            "action",
            subject=entry.subject,
            message=f"{entry.action} by {entry.actor}",
            action=entry.action,
            actor=entry.actor,
            reason=entry.reason,
        )
