"""OTLP over gRPC. A sender's thread; blocks there. Imported only when it is chosen.

Source: OpenTelemetry, OTLP specification 1.x, "OTLP/gRPC": which codes are tried again, and that
RetryInfo is honoured (RESOURCE_EXHAUSTED is tried again only with it).
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from citadel.errors import InvalidRequest
from citadel.otlp.config import address_of, headers_of
from citadel.otlp.outcome import MAX_DETAIL, Fault, Outcome, partial_success
from citadel.otlp.resource import own_version
from citadel.wire.messages import ExporterConfig

METHODS = {
    signal: f"/opentelemetry.proto.collector.{name}.v1.{name.capitalize()}Service/Export"
    for signal, name in (("traces", "trace"), ("metrics", "metrics"), ("logs", "logs"))
}
RETRIED = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_FAULTS: dict[grpc.StatusCode, Fault] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "timeout",
    grpc.StatusCode.UNAVAILABLE: "connection",
    grpc.StatusCode.UNAUTHENTICATED: "unauthenticated",
    grpc.StatusCode.PERMISSION_DENIED: "forbidden",
    grpc.StatusCode.UNIMPLEMENTED: "not_found",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "busy",
}
_DETAILS = "grpc-status-details-bin"
_TLS_SIGNS = ("ssl", "tls", "certificate", "handshake")
_PROTOCOL_SIGNS = ("http2", "trying to connect an http1", "settings frame", "preface")


class GrpcTransport:
    """A channel."""

    def __init__(self, config: ExporterConfig) -> None:
        self._config = config
        address, secure = address_of(config)
        options = (
            ("grpc.primary_user_agent", f"citadel/{own_version()}"),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2_000),  # the sender itself waits longer
            ("grpc.enable_retries", 0),  # and tries again
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if secure
            else grpc.insecure_channel(address, options)
        )
        self._calls: dict[str, Any] = {
            signal: self._channel.unary_unary(method) for signal, method in METHODS.items()
        }
        gzip = config.compression == "gzip"
        self._compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression

    def send(self, signal: str, data: bytes) -> Outcome:
        """Calls Export."""
        try:
            metadata = tuple(headers_of(self._config).items())
        except InvalidRequest as wrong:
            return Outcome(verdict="refused", status=wrong.message, fault="environment")
        try:
            answer = self._calls[signal](
                data,
                timeout=self._config.timeout_seconds,
                metadata=metadata,
                compression=self._compression,
            )
        except grpc.RpcError as failed:
            return _failed(failed)
        except ValueError as closed:  # the channel was closed meanwhile
            return Outcome(verdict="again", status=str(closed)[:MAX_DETAIL], fault="connection")
        rejected, why = partial_success(answer)
        return Outcome(verdict="accepted", status="OK", detail=why, rejected=rejected)

    def close(self) -> None:
        """Closes the channel; a call that waits there ends."""
        self._channel.close()


def _failed(error: Any) -> Outcome:
    code: grpc.StatusCode = error.code()
    detail = (error.details() or "")[:MAX_DETAIL]
    after = _retry_after(error)
    exhausted = code is grpc.StatusCode.RESOURCE_EXHAUSTED
    again = code in RETRIED or (exhausted and after is not None)
    fault = _FAULTS.get(code, "other")
    said = detail.lower()
    if fault == "connection" and any(sign in said for sign in _TLS_SIGNS):
        fault = "tls"
    elif fault == "connection" and any(sign in said for sign in _PROTOCOL_SIGNS):
        fault = "protocol"
    elif exhausted and "larger than max" in said:
        fault = "too_large"
    return Outcome(
        verdict="again" if again else "refused",
        status=code.name,
        detail=detail,
        retry_after=after,
        fault=fault,
    )


def _retry_after(error: Any) -> float | None:
    """Seconds of a RetryInfo in the status's details, whether or not its code is the call's."""
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS:
            continue
        try:
            status = Status.FromString(value)
        except DecodeError:
            return None
        for detail in status.details:
            info = RetryInfo()
            if detail.Unpack(info):
                return info.retry_delay.ToTimedelta().total_seconds()
    return None
