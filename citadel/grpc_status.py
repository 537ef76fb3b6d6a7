"""Errors across gRPC: our tree to google.rpc.Status with an ErrorInfo, and back.

Also says in our words what gRPC itself has to say: nobody there, TLS that does not fit, a message
that is too large.
"""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from citadel import errors
from citadel.errors import CitadelError
from citadel.wire.failures import class_of

MAX_MESSAGE = 1_000
"""Bytes of an error's text on the wire, where it is sent twice."""
MAX_DETAIL = 4_000
"""Bytes of one detail; of a longer one its end is sent. Errors travel in HTTP headers, which gRPC
takes up to METADATA_BYTES."""
MAX_DETAILS = 4
METADATA_BYTES = 64 * 2**10
_BY_CODE: dict[grpc.StatusCode, type[CitadelError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: errors.NotReady,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.MessageTooLarge,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.Forbidden,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: errors.WrongWireVersion,
    grpc.StatusCode.DATA_LOSS: errors.WireError,
}
_TLS_CAUSES = (
    ("wrong_version_number", "it speaks plain text"),
    ("certificate_required", "it asks this side for a certificate"),
    ("certificate_verify_failed", "its certificate is not trusted here"),
    ("hostname", "its certificate is for another name"),
)
_TLS_SIGNS = ("ssl", "tls", "handshake", "certificate", "wrong_version_number")


def to_rpc(error: CitadelError) -> grpc.Status:
    """What a servicer aborts with: code, text and trailing metadata."""
    details = list(error.details.items())[:MAX_DETAILS]
    info = ErrorInfo(
        reason=type(error).__name__,
        domain=errors.ERROR_DOMAIN,
        metadata={
            "subject": _start(error.subject),
            "remedy": _start(error.remedy),
            **{f"detail.{key}": _end(value) for key, value in details},
        },
    )
    packed = AnyMessage()
    packed.Pack(info)
    status = Status(code=Code.Value(error.code), message=_start(error.message), details=[packed])
    return rpc_status.to_status(status)


def from_rpc(error: grpc.RpcError, address: str) -> CitadelError:
    """Our error of a failed call."""
    call = cast("Any", error)
    try:
        status = rpc_status.from_call(call)
    except ValueError:  # a peer whose trailing metadata do not fit its own code
        status = None
    if status is not None:
        for detail in status.details:
            info = ErrorInfo()
            if detail.Unpack(info) and info.domain == errors.ERROR_DOMAIN:
                return _ours(info, status.message)
    return _foreign(call.code(), call.details() or "", address)


def _start(text: str) -> str:
    return text.encode("utf-8", "replace")[:MAX_MESSAGE].decode("utf-8", "ignore")


def _end(text: str) -> str:
    return text.encode("utf-8", "replace")[-MAX_DETAIL:].decode("utf-8", "ignore")


def _ours(info: ErrorInfo, message: str) -> CitadelError:
    values = dict(info.metadata)
    return class_of(info.reason)(
        message,
        subject=values.pop("subject", ""),
        remedy=values.pop("remedy", ""),
        details={key.removeprefix("detail."): value for key, value in values.items()},
    )


def _foreign(code: grpc.StatusCode, text: str, address: str) -> CitadelError:
    if code is grpc.StatusCode.UNAVAILABLE:
        if any(sign in text.lower() for sign in _TLS_SIGNS):
            said = next((ours for sign, ours in _TLS_CAUSES if sign in text.lower()), text)
            return errors.TlsMismatch(
                f"TLS with {address} failed: {said}", subject=address, details={"grpc": text}
            )
        last = text.rsplit(": ", 1)[-1]
        return errors.Unavailable(
            f"no engine answers at {address}: {last}", subject=address, details={"grpc": text}
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.WrongWireVersion(
            f"the engine at {address} does not know this call: {text}", subject=address
        )
    if code is grpc.StatusCode.INTERNAL and "deserializ" in text.lower():
        return errors.WireError(f"what {address} answered cannot be read: {text}", subject=address)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger" not in text.lower():
        return errors.Unavailable(f"{address} is overloaded: {text}", subject=address)
    cls = _BY_CODE.get(code, errors.EngineError)
    return cls(f"{address}: {text or code.name}", subject=address)
