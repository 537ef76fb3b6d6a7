"""From bytes on the wire to a servicer's method and back: the same steps for every RPC.

Wire version, token, role, decode, call, encode. Counts and times each call, opens its span, and
turns whatever is raised into a status: errors of the tree as they are, anything else into an
`EngineError` with an incident event; a traceback never leaves the engine. Loop thread only.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import grpc
import grpc.aio

from citadel import semconv
from citadel.errors import (
    CitadelError,
    MessageTooLarge,
    WrongWireVersion,
)
from citadel.grpc_status import to_rpc
from citadel.trace import SpanContext, parse_traceparent
from citadel.vocabulary import KIND_SERVER
from citadel.wire import codec
from citadel.wire.codec import Method
from citadel.wire.messages import Change
from engine.api.auth import ROLE_OF_METHOD, Authenticator, Identity, actor_of, authorise
from engine.api.incidents import translated
from engine.telemetry.counter import Counter
from engine.telemetry.recorder import Recorder, Span

MAX_REPLY_BYTES = 4 * codec.MAX_MESSAGE_BYTES
"""What clients take: a whole trace is the largest reply there is."""
UNTRACED = frozenset({"Traces.Ingest"})
"""Calls that carry spans get none of their own."""
_WIRE_VERSION = str(codec.WIRE_VERSION)

Context = grpc.aio.ServicerContext[bytes, bytes]
Unary = Callable[[Any, "Call"], Awaitable[Any]]
Stream = Callable[[Any, "Call"], AsyncGenerator[Any]]
"""Its first argument is the request, or an async iterator of requests."""


class Call:
    """What a servicer may know about a call besides its request."""

    __slots__ = ("_context", "_recorder", "identity", "method", "span")

    def __init__(
        self,
        method: str,
        identity: Identity,
        span: Span | None,
        context: Context,
        recorder: Recorder,
    ) -> None:
        self.method = method
        self.identity = identity
        self.span = span
        self._context = context
        self._recorder = recorder

    @property
    def seconds_left(self) -> float | None:
        """Until the client gives up; None when it did not say."""
        return self._context.time_remaining()

    def actor(self, change: Change | None) -> str:
        """Who the audit trail names."""
        return actor_of(self.identity, change)

    def error_of(self, raised: BaseException) -> CitadelError:
        """What the client is told of an exception: one of the tree as it is, else an incident."""
        return translated(self._recorder, self.method, raised)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rpc:
    """One RPC, and what is known of it before it is called."""

    name: str
    method: Method
    serve: Any
    decode: Callable[[bytes], Any]
    span_name: str
    reads: bool
    untraced: bool
    timed: bool
    """Whether how long it takes says anything: a stream is as long as its reader wants."""


class Dispatcher:
    """Makes gRPC handlers of servicers: plain objects with a method an RPC, named in snake case."""

    def __init__(self, authenticator: Authenticator, recorder: Recorder) -> None:
        self._authenticator = authenticator
        self._recorder = recorder
        self._requests: dict[tuple[str, str], Counter] = {}
        self._started = recorder.starter("", source="api", service="api", pool="", kind=KIND_SERVER)

    def handler(self, service: str, servicer: object) -> grpc.GenericRpcHandler:
        """The handler of a service by its short name; each of its RPCs must have a method."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
        full_name = ""
        for name, method in codec.methods().items():
            if name.partition(".")[0] != service:
                continue
            full_name = method.service
            rpc = _Rpc(
                name=name,
                method=method,
                serve=getattr(servicer, _snake(method.name)),
                decode=codec.decoder(method.request),
                span_name=f"{method.service}/{method.name}",
                reads=ROLE_OF_METHOD[name] == "viewer",
                untraced=name in UNTRACED or (method.streams and not method.streams_in),
                timed=not (method.streams or method.streams_in),
            )
            handlers[method.name] = self._handled(rpc)
        return grpc.method_handlers_generic_handler(full_name, handlers)

    def _handled(self, rpc: _Rpc) -> grpc.RpcMethodHandler[bytes, bytes]:
        if rpc.method.streams_in:
            return grpc.stream_stream_rpc_method_handler(self._stream(rpc))
        if rpc.method.streams:
            return grpc.unary_stream_rpc_method_handler(self._stream(rpc))
        return grpc.unary_unary_rpc_method_handler(self._unary(rpc))

    def _unary(self, rpc: _Rpc) -> Callable[[bytes, Context], Awaitable[bytes]]:
        name, serve, decode = rpc.name, rpc.serve, rpc.decode

        async def handle(data: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            code = "OK"
            try:
                identity, remote = self._admit(name, context)
                request = decode(data)
                span = self._span(rpc, remote, identity, request)
                call = Call(name, identity, span, context, self._recorder)
                if span is None:
                    return _encoded(name, await serve(request, call))
                with span:
                    return _encoded(name, await serve(request, call))
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception as raised:  # noqa: BLE001 - the seam where all errors are translated
                error = translated(self._recorder, name, raised)
                code = error.code
            finally:
                self._ended(rpc, code, time.perf_counter() - began)
            return await _abort(context, error)

        return handle

    def _stream(self, rpc: _Rpc) -> Callable[[Any, Context], AsyncGenerator[bytes]]:
        """Of a method that streams its answers, and of one that streams both ways."""
        name, both = rpc.name, rpc.method.streams_in

        async def handle(data: Any, context: Context) -> AsyncGenerator[bytes]:
            began = time.perf_counter()
            code = "OK"
            error: CitadelError | None = None
            try:
                identity, remote = self._admit(name, context)
                said = _decoded(rpc, data, context) if both else rpc.decode(data)
                span = self._span(rpc, remote, identity, None if both else said)
                with span or nullcontext():
                    call = Call(name, identity, span, context, self._recorder)
                    async with aclosing(rpc.serve(said, call)) as replies:
                        async for reply in replies:
                            yield _encoded(name, reply)
            except (asyncio.CancelledError, GeneratorExit):
                code = "CANCELLED"
                raise
            except Exception as raised:  # noqa: BLE001 - the seam where all errors are translated
                error = translated(self._recorder, name, raised)
                code = error.code
            finally:
                self._ended(rpc, code, time.perf_counter() - began)
            if error is not None:
                await _abort(context, error)

        return handle

    def _admit(self, name: str, context: Context) -> tuple[Identity, SpanContext | None]:
        """Who calls, and the trace that the caller is in.

        Raises:
            CitadelError: the wire version, the token or its role is not what it must be.
        """
        metadata = cast("dict[str, str]", dict(context.invocation_metadata() or ()))
        check_wire_version(metadata.get("citadel-wire-version", ""))
        identity = self._authenticator.identify(metadata.get("authorization", ""))
        authorise(identity, name)
        traceparent = metadata.get("traceparent")
        if traceparent is None:
            return identity, None
        return identity, parse_traceparent(traceparent, metadata.get("tracestate"))

    def _span(
        self, rpc: _Rpc, remote: SpanContext | None, identity: Identity, request: Any
    ) -> Span | None:
        """A span for what changes things and for what a caller traces; reads are only counted.

        Sampling rules see what the request is for, since it is often the first span of its trace.
        """
        if rpc.untraced or (rpc.reads and remote is None):
            return None
        span = self._started(
            rpc.span_name,
            remote,
            getattr(request, "mission", ""),
            getattr(request, "mission_class", ""),
            "",
            getattr(request, "pool", ""),
        )
        if span.sampled:
            span.attributes = {
                semconv.RPC_SYSTEM: "grpc",
                semconv.RPC_SERVICE: rpc.method.service,
                semconv.RPC_METHOD: rpc.method.name,
                semconv.ENDUSER_ID: identity.name,
            }
        return span

    def _ended(self, rpc: _Rpc, code: str, seconds: float) -> None:
        requests = self._requests.get((rpc.name, code))
        if requests is None:
            requests = self._recorder.counter("citadel.rpc.requests", method=rpc.name, code=code)
            self._requests[rpc.name, code] = requests
        requests.add()
        if rpc.timed:
            self._recorder.observe("citadel.rpc.duration", seconds, rpc.name)


def check_wire_version(text: str) -> None:
    """Refuses a client of another wire version; one that names none (grpcurl) is taken as ours.

    Raises:
        WrongWireVersion: names both versions.
    """
    if text and text != _WIRE_VERSION:
        raise WrongWireVersion(
            f"this engine speaks wire version {codec.WIRE_VERSION}, the client {text[:20]}",
            subject=text[:20],
            details={"engine": str(codec.WIRE_VERSION), "client": text[:20]},
        )


async def _decoded(rpc: _Rpc, requests: AsyncIterator[bytes], context: Any) -> AsyncGenerator[Any]:
    """What a client streams; its next message is taken when it is asked for.

    Raises:
        CancelledError: it did not end, the client is gone: gRPC tells the end first, and why after.
    """
    async for data in requests:
        yield rpc.decode(data)
    await asyncio.sleep(0)
    if context.cancelled():
        raise asyncio.CancelledError


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
