"""What every RPC goes through, with a servicer of the test's behind a real listener."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from citadel.client.connection import Connection
from citadel.errors import (
    Conflict,
    EngineError,
    Forbidden,
    InvalidRequest,
    MessageTooLarge,
    Unauthenticated,
    Unavailable,
    WireError,
    WrongWireVersion,
)
from citadel.grpc_status import from_rpc
from citadel.trace import SpanContext
from citadel.wire import codec
from citadel.wire.messages import (
    Command,
    CommandBatch,
    CommandResult,
    ListPoolsRequest,
    Outcome,
    OutcomeBatch,
    PoolList,
    PoolStatus,
    ResizeRequest,
    SnapshotReply,
    SnapshotRequest,
    WatchBatch,
    WatchRequest,
)
from engine.api.auth import Token, sha256_of
from engine.api.dispatch import MAX_REPLY_BYTES, Call, _snake
from engine.api.engine_service import EngineServicer, describe
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

TOKENS = (
    Token(name="alice", role="operator", sha256=sha256_of("a")),
    Token(name="bob", role="viewer", sha256=sha256_of("b")),
)


class FakePools:
    """Answers in the ways that a servicer can."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.cancelled = asyncio.Event()

    async def list(self, request: ListPoolsRequest, call: Call) -> PoolList:
        self.calls.append(call)
        return PoolList(pools=(PoolStatus(name="p"),))

    async def run(self, request: Command, call: Call) -> CommandResult:
        self.calls.append(call)
        match request.tool:
            case "conflict":
                raise Conflict("stale", subject="p", details={"current": "3"})
            case "bug":
                secret = {}
                return secret["password"]
            case "huge":
                return CommandResult(value=b"x" * (MAX_REPLY_BYTES + 1))
            case "forever":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
            case _:
                return CommandResult(id=request.id, value=b"ok")

    async def tools(self, request: object, call: Call) -> object:
        raise NotImplementedError

    cancel = resize = recycle = kill_worker = set_state = inspect_worker = tools
    list_sessions = set_variables = end_session = list_poison = release_poison = tools

    async def run_many(
        self, requests: AsyncIterator[CommandBatch], call: Call
    ) -> AsyncGenerator[OutcomeBatch]:
        self.calls.append(call)
        try:
            async for batch in requests:
                for command in batch.commands:
                    await self.run(command, call)
                yield OutcomeBatch(outcomes=tuple(Outcome(id=c.id) for c in batch.commands))
        finally:
            self.cancelled.set()

    stream = run_many


@pytest.fixture
def pools() -> FakePools:
    return FakePools()


def counted(recorder: Recorder) -> dict[tuple[str, str], float]:
    return {
        (dict(labels)["method"], dict(labels)["code"]): value
        for (name, labels), value in recorder.counters.items()
        if name == "citadel.rpc.requests"
    }


async def until(condition: Callable[[], object]) -> None:
    """Waits for something that has no event, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def events(hub: LiveHub) -> list[dict[str, str]]:
    return [
        {"severity": row[1], "name": row[2], "subject": row[3], **json.loads(row[8])}
        for row in hub._logs["event"]
    ]


async def test_a_call_is_answered_counted_timed_and_traced(
    serve: Any, pools: FakePools, recorder: Recorder
) -> None:
    spans: list[tuple] = []
    recorder.sinks.append(lambda rows: spans.extend(rows) or 0)
    connection: Connection = await serve({"Pools": pools})
    reply = await connection.call("Pools.Run", Command(id="c1", pool="p", tool="t"))
    assert reply == CommandResult(id="c1", value=b"ok")
    assert counted(recorder) == {("Pools.Run", "OK"): 1}
    assert ("citadel.rpc.duration", "Pools.Run") in recorder.durations
    recorder.drain()
    (span,) = spans
    context = connection.spans.last
    assert isinstance(context, SpanContext)
    assert (span[0] << 64 | span[1], span[3]) == (context.trace_id, context.span_id)
    assert (span[8], span[9]) == ("citadel.wire.v1.Pools/Run", "api")
    assert json.loads(span[15])["rpc.method"] == "Run"


async def test_reads_are_counted_and_leave_no_span_unless_the_caller_traces_them(
    serve: Any, pools: FakePools, recorder: Recorder
) -> None:
    connection: Connection = await serve({"Pools": pools})
    await connection.call("Pools.List", ListPoolsRequest(), traced=False)
    assert recorder.ledger().started == 0
    await connection.call("Pools.List", ListPoolsRequest(), traced=True)
    assert recorder.ledger().started == 1
    assert counted(recorder) == {("Pools.List", "OK"): 2}


async def test_errors_of_the_tree_cross_whole(
    serve: Any, pools: FakePools, recorder: Recorder
) -> None:
    connection = await serve({"Pools": pools})
    with pytest.raises(Conflict) as caught:
        await connection.call("Pools.Run", Command(tool="conflict"))
    assert (caught.value.message, caught.value.subject) == ("stale", "p")
    assert caught.value.details == {"current": "3"}
    assert caught.value.remedy == Conflict.remedy_hint
    assert counted(recorder) == {("Pools.Run", "ABORTED"): 1}


@pytest.mark.emits("engine.incident", "citadel.incidents")
async def test_a_bug_is_an_incident_and_no_traceback_at_the_client(
    serve: Any, pools: FakePools, hub: LiveHub, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await serve({"Pools": pools})
    with pytest.raises(EngineError) as caught:
        await connection.call("Pools.Run", Command(tool="bug"))
    error = caught.value
    assert "Traceback" not in error.message + error.remedy + str(error.details)
    assert "password" not in error.message
    (event,) = [event for event in events(hub) if event["name"] == "engine.incident"]
    assert event["severity"] == "error"
    assert event["subject"] == "Pools.Run"
    assert event["incident"] == error.details["incident"]
    assert "KeyError" in event["traceback"]
    assert error.details["incident"] in caplog.text
    # and nothing else is disturbed
    await connection.call("Pools.Run", Command(tool="fine"))


async def test_a_reply_that_is_too_large(serve: Any, pools: FakePools) -> None:
    connection = await serve({"Pools": pools})
    with pytest.raises(MessageTooLarge, match=r"Pools\.Run"):
        await connection.call("Pools.Run", Command(tool="huge"))


async def test_a_request_that_is_too_large_for_the_engine(serve: Any, pools: FakePools) -> None:
    connection: Connection = await serve({"Pools": pools})
    path = codec.methods()["Pools.Run"].path
    async with grpc.aio.insecure_channel(connection.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(path)(b"x" * (codec.MAX_MESSAGE_BYTES + 1))
    assert isinstance(from_rpc(caught.value, connection.address), MessageTooLarge)
    assert pools.calls == []


async def test_bytes_that_are_no_message(serve: Any, pools: FakePools) -> None:
    connection: Connection = await serve({"Pools": pools})
    async with grpc.aio.insecure_channel(connection.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary(codec.methods()["Pools.Run"].path)(b"\xff\xff\xff")
    assert type(from_rpc(caught.value, "x")) is WireError


async def test_another_wire_version_is_refused(serve: Any, pools: FakePools) -> None:
    connection: Connection = await serve({"Pools": pools})
    connection.metadata = [("citadel-wire-version", "99")]
    with pytest.raises(WrongWireVersion) as caught:
        await connection.call("Pools.List", ListPoolsRequest())
    assert "99" in caught.value.message
    assert str(codec.WIRE_VERSION) in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_no_token_or_a_wrong_one(serve: Any, pools: FakePools, token: str) -> None:
    connection = await serve({"Pools": pools}, tokens=TOKENS, token=token)
    with pytest.raises(Unauthenticated):
        await connection.call("Pools.List", ListPoolsRequest())
    assert pools.calls == []


async def test_a_viewer_reads_and_does_not_change(serve: Any, pools: FakePools) -> None:
    connection = await serve({"Pools": pools}, tokens=TOKENS, token="b")
    await connection.call("Pools.List", ListPoolsRequest())
    with pytest.raises(Forbidden, match="needs the role operator"):
        await connection.call("Pools.Resize", ResizeRequest(pool="p", size=3))
    assert [call.identity.name for call in pools.calls] == ["bob"]


async def test_a_client_that_gives_up_cancels_the_call(
    serve: Any, pools: FakePools, recorder: Recorder
) -> None:
    connection = await serve({"Pools": pools})
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(connection.call("Pools.Run", Command(tool="forever")))
        await until(lambda: pools.calls)
        task.cancel()
    await asyncio.wait_for(pools.cancelled.wait(), 10)
    await until(lambda: ("Pools.Run", "CANCELLED") in counted(recorder))


async def test_a_servicer_knows_the_time_that_is_left(serve: Any, pools: FakePools) -> None:
    connection = await serve({"Pools": pools})
    await connection.call("Pools.List", ListPoolsRequest(), timeout=5)
    (call,) = pools.calls
    assert call.seconds_left is not None
    assert 0 < call.seconds_left < 10  # gRPC counts from when it read the header


def batch(tool: str = "fine", id_: str = "c") -> CommandBatch:
    return CommandBatch(commands=(Command(id=id_, tool=tool),))


async def test_both_sides_stream(serve: Any, pools: FakePools, recorder: Recorder) -> None:
    spans: list[tuple] = []
    recorder.sinks.append(lambda rows: spans.extend(rows) or 0)
    connection: Connection = await serve({"Pools": pools})
    async with connection.bidi("Pools.RunMany") as stream:
        answers = stream.messages()
        for number in range(3):
            await stream.send(batch(id_=f"c{number}"))
            assert (await anext(answers)).outcomes[0].id == f"c{number}"
        await stream.end()
        assert [each async for each in answers] == []
    await until(lambda: counted(recorder) == {("Pools.RunMany", "OK"): 1})
    assert ("citadel.rpc.duration", "Pools.RunMany") not in recorder.durations
    recorder.drain()
    (span,) = spans
    assert (span[1], span[8]) == (
        connection.spans.last.trace_id & (2**64 - 1),
        "citadel.wire.v1.Pools/RunMany",
    )


@pytest.mark.parametrize(
    ("tool", "error", "code"),
    [("conflict", Conflict, "ABORTED"), ("bug", EngineError, "INTERNAL")],
)
async def test_a_stream_of_both_sides_that_fails(
    serve: Any, pools: FakePools, recorder: Recorder, tool: str, error: type, code: str
) -> None:
    connection: Connection = await serve({"Pools": pools})
    async with connection.bidi("Pools.RunMany") as stream:
        await stream.send(batch(tool))
        with pytest.raises(error):
            await anext(stream.messages())
        with pytest.raises(error):  # who sends is told the same
            await stream.send(batch())
    await until(lambda: counted(recorder) == {("Pools.RunMany", code): 1})


@pytest.mark.parametrize("method", ["Pools.RunMany", "Pools.Stream"])
@pytest.mark.parametrize(
    ("token", "version", "error"),
    [("", "1", Unauthenticated), ("b", "1", Forbidden), ("a", "99", WrongWireVersion)],
)
async def test_streams_of_both_sides_ask_for_what_all_calls_do(
    serve: Any, pools: FakePools, method: str, token: str, version: str, error: type
) -> None:
    connection: Connection = await serve({"Pools": pools}, tokens=TOKENS, token=token)
    connection.metadata[0] = ("citadel-wire-version", version)
    async with connection.bidi(method) as stream:
        with pytest.raises(error):
            await anext(stream.messages())
    assert pools.calls == []


async def test_a_client_that_leaves_a_stream_cancels_it(
    serve: Any, pools: FakePools, recorder: Recorder
) -> None:
    connection: Connection = await serve({"Pools": pools})
    async with connection.bidi("Pools.RunMany") as stream:
        await stream.send(batch("forever"))
        # Of a stream on which nothing runs gRPC tells the end before it tells why it ended.
        await until(lambda: len(pools.calls) == 2)
    await asyncio.wait_for(pools.cancelled.wait(), 10)
    await until(lambda: counted(recorder) == {("Pools.RunMany", "CANCELLED"): 1})


async def test_bytes_that_are_no_message_end_a_stream(serve: Any, pools: FakePools) -> None:
    connection: Connection = await serve({"Pools": pools})
    async with grpc.aio.insecure_channel(connection.address) as channel:
        call = channel.stream_stream(codec.methods()["Pools.RunMany"].path)()
        await call.write(b"\xff\xff\xff")
        with pytest.raises(grpc.RpcError) as caught:
            await call.read()
    assert type(from_rpc(caught.value, "x")) is WireError


async def test_a_stream_sends_no_message_that_is_too_large(serve: Any, pools: FakePools) -> None:
    connection: Connection = await serve({"Pools": pools})
    async with connection.bidi("Pools.RunMany") as stream:
        large = Command(arguments=b"x" * codec.MAX_MESSAGE_BYTES)
        with pytest.raises(MessageTooLarge):
            await stream.send(CommandBatch(commands=(large,)))
        await stream.send(batch())  # and is none the worse for it
        await anext(stream.messages())


async def test_nobody_answers_a_stream() -> None:
    connection = Connection("127.0.0.1:1")
    try:
        async with connection.bidi("Pools.RunMany") as stream:
            with pytest.raises(Unavailable):
                await stream.send(batch())
    finally:
        await connection.close()


class FakeEngine(EngineServicer):
    """A stream that fails when it is told to."""

    async def watch(self, request: WatchRequest, call: Call) -> AsyncGenerator[WatchBatch]:
        yield WatchBatch(first_seq=1, last_seq=1)
        if request.since_seq == 1:
            raise InvalidRequest("that is enough", subject="stream")
        if request.since_seq == 2:
            raise KeyError("a bug")


@pytest.mark.parametrize(("since", "error"), [(1, InvalidRequest), (2, EngineError)])
async def test_a_stream_that_fails(serve: Any, hub: LiveHub, since: int, error: type) -> None:
    about = describe("instance", (), "")
    connection = await serve({"Engine": FakeEngine(about=about, hub=hub, store=None)})
    stream = connection.stream("Engine.Watch", WatchRequest(since_seq=since))
    assert (await anext(stream)).last_seq == 1
    with pytest.raises(error):
        await anext(stream)


async def test_a_watcher_that_leaves_is_forgotten(serve: Any, hub: LiveHub) -> None:
    about = describe("instance", (), "")
    connection = await serve({"Engine": EngineServicer(about=about, hub=hub, store=None)})
    hub.publish("counter", ("c", "{}", 1.0, 1))
    stream = connection.stream("Engine.Watch", WatchRequest(topics=("counter",), since_seq=0))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(anext(stream))
        await until(lambda: hub._waiters)
        hub.publish("counter", ("c", "{}", 2.0, 2))
    assert first.result().last_seq == 2
    await stream.aclose()
    await until(lambda: not hub._waiters)


async def test_a_snapshot_and_an_unknown_topic(serve: Any, hub: LiveHub) -> None:
    about = describe("instance", (), "")
    connection = await serve({"Engine": EngineServicer(about=about, hub=hub, store=None)})
    reply = await connection.call("Engine.Snapshot", SnapshotRequest(topics=("pool",)))
    assert isinstance(reply, SnapshotReply)
    assert reply.instance_id == "instance"
    with pytest.raises(InvalidRequest, match="nonsense"):
        await connection.call("Engine.Snapshot", SnapshotRequest(topics=("nonsense",)))


def test_names_of_methods() -> None:
    assert [_snake(name) for name in ("Run", "KillWorker", "SetRate")] == [
        "run",
        "kill_worker",
        "set_rate",
    ]
