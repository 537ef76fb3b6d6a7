"""Errors over a real gRPC connection: ours arrive whole, gRPC's own are told in our words."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from citadel import errors
from citadel.errors import CitadelError
from citadel.grpc_status import (
    MAX_DETAIL,
    MAX_DETAILS,
    MAX_MESSAGE,
    METADATA_BYTES,
    from_rpc,
    to_rpc,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, CitadelError)
]
Handler = Callable[[bytes, Any], Any]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    made = grpc.aio.server(options=[("grpc.max_receive_message_length", 1_000)])
    handlers = {"Do": grpc.unary_unary_rpc_method_handler(handler)}
    made.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Service", handlers)])
    port = made.add_insecure_port("127.0.0.1:0")
    await made.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await made.stop(None)


async def failure(address: str, path: str = "/test.Service/Do", **options: Any) -> CitadelError:
    limits = [
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
    ]
    async with grpc.aio.insecure_channel(address, options=limits) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(path)(
                options.pop("data", b""), timeout=options.pop("timeout", 20)
            )
        return from_rpc(caught.value, address)


def aborting(error: CitadelError) -> Handler:
    async def handle(data: bytes, context: Any) -> bytes:
        status = to_rpc(error)
        await context.abort(status.code, status.details, status.trailing_metadata)
        return data

    return handle


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
async def test_an_error_of_ours_arrives_as_it_was(cls: type[CitadelError]) -> None:
    sent = cls("naïve: 100 % – gone", subject="p/é", remedy="try “again”", details={"a": "b\nc"})
    async with server(aborting(sent)) as address:
        got = await failure(address)
    assert type(got) is cls
    assert got.message == sent.message
    assert (got.subject, got.remedy, got.details) == (sent.subject, sent.remedy, sent.details)


async def test_long_details_are_cut_at_their_front() -> None:
    details = {"traceback": "号" * 50_000 + "end", **{str(n): "z" * 50_000 for n in range(9)}}
    sent = errors.CommandFailed("号" * 50_000, details=details)
    async with server(aborting(sent)) as address:
        got = await failure(address)
    assert isinstance(got, errors.CommandFailed)
    assert got.message
    assert set(got.message) == {"号"}
    assert len(got.message.encode()) <= MAX_MESSAGE
    assert len(got.details) == MAX_DETAILS
    assert len(got.details["traceback"].encode()) <= MAX_DETAIL
    assert got.details["traceback"].endswith("end")


async def test_an_error_of_a_newer_engine_is_an_engine_error() -> None:
    class Newer(CitadelError):
        """One that this side does not know."""

    async with server(aborting(Newer("later"))) as address:
        got = await failure(address)
    assert type(got) is errors.EngineError
    assert got.message == "later"


async def test_an_error_class_is_never_another_name_of_the_module() -> None:
    class Mapping(CitadelError):
        """Its name is in the module `errors`, and is no error there."""

    async with server(aborting(Mapping("odd"))) as address:
        assert type(await failure(address)) is errors.EngineError


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.UNAUTHENTICATED, errors.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, errors.Forbidden),
        (grpc.StatusCode.INTERNAL, errors.EngineError),
        (grpc.StatusCode.UNKNOWN, errors.EngineError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Unavailable),
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
    ],
)
async def test_a_bare_status_becomes_the_nearest_error(
    code: grpc.StatusCode, cls: type[CitadelError]
) -> None:
    async def handle(data: bytes, context: Any) -> bytes:
        await context.abort(code, "a proxy says so")
        return data

    async with server(handle) as address:
        got = await failure(address)
    assert type(got) is cls
    assert "a proxy says so" in got.message
    assert got.subject == address


async def test_nobody_there_is_unavailable() -> None:
    async with server(aborting(CitadelError("x"))) as address:
        pass
    got = await failure(address)
    assert type(got) is errors.Unavailable
    assert address in got.message
    assert "citadel engine" in got.remedy


async def test_a_message_over_the_limit_is_too_large() -> None:
    async with server(aborting(CitadelError("x"))) as address:
        got = await failure(address, data=b"x" * 2_000)
    assert type(got) is errors.MessageTooLarge


async def test_a_call_that_is_not_served_is_another_version() -> None:
    async with server(aborting(CitadelError("x"))) as address:
        got = await failure(address, path="/test.Service/Later")
    assert type(got) is errors.WrongWireVersion


async def test_time_that_ran_out_is_a_deadline() -> None:
    async def handle(data: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "too late")
        return data

    async with server(handle) as address:
        assert type(await failure(address)) is errors.DeadlineExceeded
