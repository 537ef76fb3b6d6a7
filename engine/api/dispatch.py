"""From bytes on the wire to a servicer's method and back: the same steps for every RPC.

Wire version, token, role, decode, call, encode. Counts and times each call, opens its span, and
turns whatever is raised into a status: errors of the tree as they are, anything else into an
`EngineError` with an incident event; a traceback never leaves the engine. Loop thread only.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from citadel.errors import (
    CitadelError,
    EngineError,
    MessageTooLarge,
    Unauthenticated,
    WrongWireVersion,
)
from citadel.grpc_status import to_rpc
from citadel.trace import new_span_id, parse_traceparent
from citadel.vocabulary import KIND_SERVER
from citadel.wire import codec
from citadel.wire.codec import Method
from citadel.wire.messages import Change
from engine.api.auth import ROLE_OF_METHOD, Authenticator, Identity, actor_of, authorise
from engine.telemetry.recorder import Recorder, Span

MAX_REPLY_BYTES = 4 * codec.MAX_MESSAGE_BYTES
"""What clients take: a whole trace is the largest reply there is."""
UNTRACED = frozenset({"Traces.Ingest"})
"""Calls that carry spans get none of their own."""
MAX_TRACEBACK = 4_000

Context = grpc.aio.ServicerContext[bytes, bytes]
Unary = Callable[[Any, "Call"], Awaitable[Any]]
Stream = Callable[[Any, "Call"], AsyncGenerator[Any]]
_log = logging.getLogger("citadel.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a servicer may know about a call besides its request."""

    method: str
    identity: Identity
    span: Span | None
    seconds_left: float | None
    """Until the client gives up; None when it did not say."""

    def actor(self, change: Change | None) -> str:
        """Who the audit trail names."""
        return actor_of(self.identity, change)


class Dispatcher:
    """Makes gRPC handlers of servicers: plain objects with a method an RPC, named in snake case."""

    def __init__(self, authenticator: Authenticator, recorder: Recorder) -> None:
        self._authenticator = authenticator
        self._recorder = recorder

    def handler(self, service: str, servicer: object) -> grpc.GenericRpcHandler:
        """The handler of a service by its short name; each of its RPCs must have a method."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
        full_name = ""
        for name, method in codec.methods().items():
            if name.partition(".")[0] != service:
                continue
            full_name = method.service
            serve = getattr(servicer, _snake(method.name), None)
            if serve is None:  # until the new methods have been written
                continue
            handlers[method.name] = (
                grpc.unary_stream_rpc_method_handler(self._stream(name, method, serve))
                if method.streams
                else grpc.unary_unary_rpc_method_handler(self._unary(name, method, serve))
            )
        return grpc.method_handlers_generic_handler(full_name, handlers)

    def _unary(
        self, name: str, method: Method, serve: Unary
    ) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def handle(data: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            code = "OK"
            try:
                identity, metadata = self._admit(name, context)
                with self._span(name, method, metadata, identity) as span:
                    call = _call(name, identity, span, context)
                    reply = await serve(codec.decode(method.request, data), call)
                    return _encoded(name, reply)
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception as raised:  # noqa: BLE001 - the seam where all errors are translated
                error = self._translated(name, raised)
                code = error.code
            finally:
                self._ended(name, code, time.perf_counter() - began)
            return await _abort(context, error)

        return handle

    def _stream(
        self, name: str, method: Method, serve: Stream
    ) -> Callable[[bytes, Context], AsyncGenerator[bytes]]:
        async def handle(data: bytes, context: Context) -> AsyncGenerator[bytes]:
            began = time.perf_counter()
            code = "OK"
            error: CitadelError | None = None
            try:
                identity, _ = self._admit(name, context)
                call = _call(name, identity, None, context)
                async with aclosing(serve(codec.decode(method.request, data), call)) as replies:
                    async for reply in replies:
                        yield _encoded(name, reply)
            except (asyncio.CancelledError, GeneratorExit):
                code = "CANCELLED"
                raise
            except Exception as raised:  # noqa: BLE001 - the seam where all errors are translated
                error = self._translated(name, raised)
                code = error.code
            finally:
                self._ended(name, code, time.perf_counter() - began)
            if error is not None:
                await _abort(context, error)

        return handle

    def _admit(self, name: str, context: Context) -> tuple[Identity, Mapping[str, str]]:
        metadata = {
            str(key): value if isinstance(value, str) else ""
            for key, value in context.invocation_metadata() or ()
        }
        check_wire_version(metadata.get("citadel-wire-version", ""))
        identity = self._authenticator.identify(metadata.get("authorization", ""))
        authorise(identity, name)
        return identity, metadata

    def _span(
        self, name: str, method: Method, metadata: Mapping[str, str], identity: Identity
    ) -> Span | nullcontext[None]:
        """A span for what changes things and for what a caller traces; reads are only counted."""
        remote = parse_traceparent(metadata.get("traceparent"))
        if name in UNTRACED or (remote is None and ROLE_OF_METHOD[name] == "viewer"):
            return nullcontext()
        return self._recorder.span(
            f"{method.service}/{method.name}",
            parent=remote,
            root=remote is None,
            kind=KIND_SERVER,
            source="api",
            service="api",
            attributes={
                "rpc.system": "grpc",
                "rpc.service": method.service,
                "rpc.method": method.name,
                "enduser.id": identity.name,
            },
        )

    def _translated(self, name: str, raised: Exception) -> CitadelError:
        if isinstance(raised, Unauthenticated):
            _log.warning("%s: %s", name, raised)
        if isinstance(raised, CitadelError):
            return raised
        incident = f"{new_span_id():016x}"
        text = "".join(traceback.format_exception(raised))[-MAX_TRACEBACK:]
        _log.error("incident %s in %s\n%s", incident, name, text)
        self._recorder.event(
            "engine.incident",
            subject=name,
            severity="error",
            message=f"{type(raised).__name__}: {raised}",
            incident=incident,
            traceback=text,
        )
        return EngineError(
            f"{name} failed inside the engine ({type(raised).__name__})",
            subject=name,
            remedy=f"See incident {incident} in the engine's events and log",
            details={"incident": incident},
        )

    def _ended(self, name: str, code: str, seconds: float) -> None:
        self._recorder.count("citadel.rpc.requests", method=name, code=code)
        if not codec.methods()[name].streams:
            self._recorder.observe("citadel.rpc.duration", seconds, name)


def check_wire_version(text: str) -> None:
    """Refuses a client of another wire version; one that names none (grpcurl) is taken as ours.

    Raises:
        WrongWireVersion: names both versions.
    """
    if text and text != str(codec.WIRE_VERSION):
        raise WrongWireVersion(
            f"this engine speaks wire version {codec.WIRE_VERSION}, the client {text[:20]}",
            subject=text[:20],
            details={"engine": str(codec.WIRE_VERSION), "client": text[:20]},
        )


def _call(name: str, identity: Identity, span: Span | None, context: Context) -> Call:
    left = context.time_remaining()
    return Call(method=name, identity=identity, span=span, seconds_left=left)


def _encoded(name: str, reply: Any) -> bytes:
    data = codec.encode(reply)
    if len(data) > MAX_REPLY_BYTES:
        raise MessageTooLarge(
            f"the reply to {name} has {len(data)} bytes, more than {MAX_REPLY_BYTES}",
            subject=name,
            remedy="Ask for less: a filter, a limit, a shorter stretch",
        )
    return data


async def _abort(context: Context, error: CitadelError) -> bytes:
    status = to_rpc(error)
    metadata = tuple(status.trailing_metadata or ())
    await context.abort(status.code, status.details, metadata)
    return b""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
