"""Who calls, and what they may do: bearer tokens with the roles viewer, operator and admin.

Tokens are known by their SHA-256 only. With no token configured only loopback is served (the
settings see to that), and its callers are admin. Loop thread only; does no I/O.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from citadel.errors import Forbidden, Unauthenticated
from citadel.vocabulary import ROLES, Role
from citadel.wire.messages import Change
from engine.settings import Settings

ROLE_OF_METHOD: dict[str, Role] = {
    "Engine.Info": "viewer",
    "Engine.Snapshot": "viewer",
    "Engine.Watch": "viewer",
    "Engine.Audit": "viewer",
    "Pools.List": "viewer",
    "Pools.Tools": "viewer",
    "Pools.Run": "operator",
    "Pools.RunMany": "operator",
    "Pools.Stream": "operator",
    "Pools.SetState": "operator",
    "Pools.InspectWorker": "viewer",
    "Pools.ListSessions": "viewer",
    "Pools.SetVariables": "operator",
    "Pools.EndSession": "operator",
    "Pools.ListPoison": "operator",
    "Pools.ReleasePoison": "operator",
    "Pools.Cancel": "operator",
    "Pools.Resize": "operator",
    "Pools.Recycle": "operator",
    "Pools.KillWorker": "operator",
    "Sentinels.List": "viewer",
    "Sentinels.Inspect": "viewer",
    "Sentinels.Spawn": "operator",
    "Sentinels.Stop": "operator",
    "Sentinels.Send": "operator",
    "Sentinels.Restart": "operator",
    "Missions.Kinds": "viewer",
    "Missions.Start": "operator",
    "Missions.List": "viewer",
    "Missions.Get": "viewer",
    "Missions.Result": "viewer",
    "Missions.Cancel": "operator",
    "Missions.SetRate": "operator",
    "Traces.Search": "viewer",
    "Traces.Get": "viewer",
    "Traces.Ledger": "viewer",
    "Traces.Histogram": "viewer",
    "Traces.Estimate": "viewer",
    "Traces.Export": "viewer",
    "Traces.Ingest": "viewer",
    "Sampling.Get": "viewer",
    "Sampling.Apply": "operator",
    "Sampling.Preview": "viewer",
    "Sampling.Override": "operator",
    "Sampling.Revert": "operator",
    "Sampling.Why": "viewer",
    "Exporters.List": "viewer",
    "Exporters.Apply": "admin",
    "Exporters.Remove": "admin",
    "Exporters.Test": "admin",
    "Recordings.Start": "operator",
    "Recordings.Stop": "operator",
    "Recordings.List": "viewer",
    "Recordings.Remove": "operator",
    "Recordings.Fetch": "operator",
    "Recordings.GetTriggers": "viewer",
    "Recordings.SetTriggers": "operator",
    "Defense.Get": "viewer",
    "Defense.Apply": "operator",
    "Defense.Preview": "viewer",
    "Defense.Check": "viewer",
}
"""The least role that a method needs. A method that is not here cannot be served."""
_RANK: Mapping[str, int] = {role: rank for rank, role in enumerate(ROLES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls."""

    name: str
    role: Role
    proven: bool = True
    """Whether a configured token says so: then the audit trail names its holder in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that is accepted."""

    name: str
    role: Role
    sha256: str
    proven: bool = True


MAX_KNOWN = 1_024
"""Headers that need no second look. Only good ones are kept, by their whole text, which whoever can
time a look-up would have to know."""
LOCAL = Identity(name="local", role="admin", proven=False)


class Authenticator:
    """Finds the caller of a request, and refuses what its role may not do."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = tuple(tokens)
        self._known: dict[str, Identity] = {}

    def identify(self, authorization: str) -> Identity:
        """The holder of the token in an `authorization` header.

        Raises:
            Unauthenticated: there is none, or it is not one of ours.
        """
        if not self._tokens:
            return LOCAL
        if authorization in self._known:
            return self._known[authorization]
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("this engine asks for a token, and none was sent")
        digest = sha256_of(token.strip())
        found = None
        for known in self._tokens:  # all of them, so that time tells nothing
            if hmac.compare_digest(known.sha256, digest):
                found = known
        if found is None:
            raise Unauthenticated("the token is not one that this engine knows")
        identity = Identity(name=found.name, role=found.role, proven=found.proven)
        if len(self._known) < MAX_KNOWN:
            self._known[authorization] = identity
        return identity


def authorise(identity: Identity, method: str) -> None:
    """Refuses a call that needs a higher role.

    Raises:
        Forbidden: names the role that it needs.
    """
    needed = ROLE_OF_METHOD[method]
    if _RANK[identity.role] < _RANK[needed]:
        raise Forbidden(
            f"{method} needs the role {needed}; the token {identity.name!r} has {identity.role}",
            subject=method,
        )


def actor_of(identity: Identity, change: Change | None) -> str:
    """Who the audit trail says it was: as claimed, with the token's holder where one proved it."""
    claimed = change.actor if change else ""
    if not claimed or claimed == identity.name:
        return identity.name
    return f"{claimed} ({identity.name})" if identity.proven else claimed


def sha256_of(token: str) -> str:
    """A token's hash, as the settings hold it."""
    return hashlib.sha256(token.encode()).hexdigest()


def tokens_of(settings: Settings, embedded: str) -> list[Token]:
    """What the settings accept, and the one-time token of whoever embeds this engine."""
    tokens = [
        Token(name=each.name, role=each.role, sha256=each.sha256) for each in settings.auth.tokens
    ]
    if embedded:
        digest = sha256_of(embedded)
        tokens.append(Token(name="embedded", role="admin", sha256=digest, proven=False))
    return tokens
