"""The error tree, and its translation to and from gRPC: once, here.

CitadelError
├── InvalidRequest           what was asked makes no sense            INVALID_ARGUMENT
│   ├── BadArguments         arguments do not fit a tool's schema
│   ├── BadFilter            the filter language could not be read
│   └── BadConfig            a settings file, key or value is wrong
├── NotFound                 no such pool, tool, Sentinel, mission    NOT_FOUND
│   ├── UnknownTool
│   ├── UnknownMission
│   ├── UnknownSession
│   └── UnknownReference     no such object in the session (bridge)
├── Conflict                 based on a stale revision                ABORTED
├── NotReady                 the thing exists but cannot serve now    FAILED_PRECONDITION
│   ├── AdapterFailed        the adapter did not import or set up
│   ├── SessionBusy          strict_fail: its worker is not free
│   ├── SessionLost          strict_fail: its worker died with its state
│   └── Quarantined          this command killed workers before
├── QueueFull                a bounded queue is at its limit          RESOURCE_EXHAUSTED
│   └── Shed                 made room in a full queue: it was the oldest
├── QuotaExceeded            too many sessions, objects, bytes        RESOURCE_EXHAUSTED
├── MessageTooLarge          more bytes than the wire takes           RESOURCE_EXHAUSTED
├── DeadlineExceeded         the caller's time ran out                DEADLINE_EXCEEDED
├── Cancelled                cancelled by id or by the caller         CANCELLED
├── CommandFailed            the tool raised                          INTERNAL
├── WorkerLost               the worker's process died under it       UNAVAILABLE
├── BreakerOpen              the pool fails too often: not tried now  UNAVAILABLE
├── Blocked                  a guard blocked the request              PERMISSION_DENIED
├── ProviderFailed           the chat provider answered with an error UNAVAILABLE
├── Unauthenticated          no token, or a wrong one                 UNAUTHENTICATED
├── Forbidden                the token's role may not do this         PERMISSION_DENIED
├── Unavailable              no engine there, or it went away         UNAVAILABLE
│   ├── TlsMismatch          TLS against plain text, or untrusted
│   └── AddressInUse         the port is taken
├── WireError                bytes that are not the wire's            DATA_LOSS
│   └── WrongWireVersion     the other side speaks another version    FAILED_PRECONDITION
└── EngineError              anything else that the engine raised     INTERNAL

Every error has what happened (its text), what it happened to (`subject`) and what to do (`remedy`).
On the wire an error is a google.rpc.Status with one google.rpc.ErrorInfo: `reason` is the class's
name, `domain` is "citadel", and the metadata hold subject, remedy and details.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

ERROR_DOMAIN = "citadel"


class CitadelError(Exception):
    """What every error of Citadel is."""

    code: ClassVar[str] = "INTERNAL"
    remedy_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        subject: str = "",
        remedy: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.remedy = remedy or self.remedy_hint
        self.details: dict[str, str] = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.subject, self.remedy, self.details))


def _rebuild(
    cls: type[CitadelError], message: str, subject: str, remedy: str, details: dict[str, str]
) -> CitadelError:
    return cls(message, subject=subject, remedy=remedy, details=details)


class InvalidRequest(CitadelError):
    """What was asked makes no sense."""

    code = "INVALID_ARGUMENT"


class BadArguments(InvalidRequest):
    """Arguments do not fit a tool's schema."""

    remedy_hint = "See the tool's schema: citadel pool tools POOL"


class BadFilter(InvalidRequest):
    """The filter language could not be read."""


class BadConfig(InvalidRequest):
    """A settings file, key or value is wrong."""


class NotFound(CitadelError):
    """No such pool, Sentinel, mission, trace."""

    code = "NOT_FOUND"


class UnknownTool(NotFound):
    """The pool's adapter has no such tool."""

    remedy_hint = "List the tools: citadel pool tools POOL"


class UnknownMission(NotFound):
    """No mission of that kind or id."""

    remedy_hint = "List the kinds: citadel mission kinds"


class UnknownSession(NotFound):
    """The pool has no such session; it may have expired."""

    remedy_hint = "List the sessions: citadel pool sessions POOL"


class UnknownReference(NotFound):
    """The session holds no such object; it may have expired, or died with its worker."""

    remedy_hint = "Make the object again, in the same session"


class Conflict(CitadelError):
    """A change was based on a stale revision; details hold the current one."""

    code = "ABORTED"
    remedy_hint = "Read the current revision and apply the change again"


class NotReady(CitadelError):
    """The thing exists but cannot serve now."""

    code = "FAILED_PRECONDITION"


class AdapterFailed(NotReady):
    """An adapter did not import or set up."""


class SessionBusy(NotReady):
    """The worker of a `strict_fail` session is not free."""

    remedy_hint = "Send it again later, or with affinity strict_queue"


class SessionLost(NotReady):
    """The worker of a `strict_fail` session died with the state that it held."""

    remedy_hint = "Begin another session, or use affinity strict_queue or hint"


class Quarantined(NotReady):
    """A command with this tool and these arguments killed workers before."""

    remedy_hint = "See it with: citadel pool poison POOL; let it through with --release"


class QueueFull(CitadelError):
    """A bounded queue is at its limit."""

    code = "RESOURCE_EXHAUSTED"
    remedy_hint = "Send more slowly, resize the pool, or raise its queue_limit"


class Shed(QueueFull):
    """The oldest command of a full queue, given up for a newer one."""

    remedy_hint = "Send more slowly, or resize the pool"


class QuotaExceeded(CitadelError):
    """More sessions, objects or bytes than the pool's settings allow one caller."""

    code = "RESOURCE_EXHAUSTED"
    remedy_hint = "End what is not needed any more, or raise the pool's limit"


class MessageTooLarge(CitadelError):
    """More bytes than the wire takes."""

    code = "RESOURCE_EXHAUSTED"
    remedy_hint = "Send less in one message, or pass a path"


class DeadlineExceeded(CitadelError):
    """The caller's time ran out; work that had begun was stopped."""

    code = "DEADLINE_EXCEEDED"
    remedy_hint = "Give a longer deadline, or look at the queue"


class Cancelled(CitadelError):
    """Cancelled by id or by the caller."""

    code = "CANCELLED"


class CommandFailed(CitadelError):
    """The tool raised; details hold its type and traceback."""

    remedy_hint = "See the traceback in the error's details"


class WorkerLost(CitadelError):
    """The worker's process died while it ran the command; it may have run in part."""

    code = "UNAVAILABLE"
    remedy_hint = "The worker was replaced; send the command again if it may run twice"


class BreakerOpen(CitadelError):
    """Too many of the pool's last commands cost a worker or ran out of time: none is tried now."""

    code = "UNAVAILABLE"
    remedy_hint = "Look at the pool's last failures; it is tried again by itself"


class Blocked(CitadelError):
    """A guard blocked the request."""

    code = "PERMISSION_DENIED"
    remedy_hint = "See the verdict's reasons; thresholds are in the Defence dock"


class ProviderFailed(CitadelError):
    """The chat provider answered with an error, or not at all."""

    code = "UNAVAILABLE"


class Unauthenticated(CitadelError):
    """No token, or a wrong one."""

    code = "UNAUTHENTICATED"
    remedy_hint = "Give the engine's token: --token, or CITADEL_TOKEN"


class Forbidden(CitadelError):
    """The token's role may not do this."""

    code = "PERMISSION_DENIED"
    remedy_hint = "Ask for a token with the role that the message names"


class Unavailable(CitadelError):
    """No engine there, or it went away."""

    code = "UNAVAILABLE"
    remedy_hint = "Check the address, and that the engine runs: citadel engine"


class TlsMismatch(Unavailable):
    """TLS against plain text, or a certificate that is not trusted."""

    remedy_hint = "Give --tls (and --ca FILE for a private authority), or neither"


class AddressInUse(Unavailable):
    """The port to listen on is taken."""

    remedy_hint = "Stop the other program, or listen on another port: --listen HOST:0 picks one"


class WireError(CitadelError):
    """Bytes that are not the wire's."""

    code = "DATA_LOSS"


class WrongWireVersion(WireError):
    """The other side speaks another version of the wire."""

    code = "FAILED_PRECONDITION"
    remedy_hint = "Install the same major version of citadel-command on both sides"


class EngineError(CitadelError):
    """Anything else that the engine raised."""
