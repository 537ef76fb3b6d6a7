"""The blocking face: the same methods and errors, for code without a loop."""

import threading

import pytest

import citadel
from citadel import errors
from citadel.client.watch import Snapshot
from citadel.testing import EngineUnderTest

THREAD = "citadel client"


def test_methods_block_and_errors_are_the_same(engine: EngineUnderTest) -> None:
    with citadel.connect_sync(engine.address, token=engine.token) as client:
        assert client.address == engine.address
        assert client.pools.call("shed", "add", a=1, b=1) == 2
        assert client.info().role == "admin"
        with pytest.raises(errors.UnknownTool):
            client.pools.call("shed", "nothing")


def test_a_stream_is_an_iterator(engine: EngineUnderTest) -> None:
    with citadel.connect_sync(engine.address, token=engine.token) as client:
        updates = client.watch(["pool"])
        first = next(updates)
        assert isinstance(first, Snapshot)
        assert "shed" in list(first.tables["pool"]["name"])
        updates.close()


def test_a_trace_of_ones_own_crosses_threads(engine: EngineUnderTest) -> None:
    with citadel.connect_sync(engine.address, token=engine.token) as client:
        with client.trace("sync job") as span:
            client.pools.call("shed", "add", a=1)
        assert client.connection.spans.last.trace_id == span.context.trace_id


def test_a_connection_that_fails_leaves_no_thread_behind() -> None:
    with pytest.raises(errors.Unavailable):
        citadel.connect_sync("127.0.0.1:1")
    assert THREAD not in [thread.name for thread in threading.enumerate()]


def test_closing_ends_the_thread(engine: EngineUnderTest) -> None:
    client = citadel.connect_sync(engine.address, token=engine.token)
    assert THREAD in [thread.name for thread in threading.enumerate()]
    client.close()
    assert THREAD not in [thread.name for thread in threading.enumerate()]


def test_batches_streams_and_sessions_block_too(engine: EngineUnderTest) -> None:
    with citadel.connect_sync(engine.address, token=engine.token) as client:
        shed = client.pools.on("shed", deadline=30)
        assert shed.pool == "shed"
        assert shed.call("add", a=1, b=2) == 3
        assert shed.many([("add", {"a": 1}), ("add", {"a": 2})]) == [1, 2]
        assert list(shed.stream("count", up_to=3)) == [0, 1, 2]
        assert shed.stream("total", (number for number in range(5))).finish() == 10
        endless = shed.stream("count", up_to=10**9)
        assert next(iter(endless)) == 0
        endless.close()
        with client.pools.batch("shed") as batch:
            futures = [batch.begin("add", a=number) for number in range(100)]
            assert batch.call("add", a=5, b=6) == 11
            assert [future.result(30) for future in futures] == list(range(100))
        session = client.pools.session("shed", "sync")
        assert session.call("remember", name="a", value=1) == {"a": 1}
        assert session.set(b=2).key == "sync"
        assert session.variables() == {"a": 1, "b": 2}
        watched = session.watch()
        assert next(watched) == {"a": 1, "b": 2}
        watched.close()
        session.end()
        with pytest.raises(errors.UnknownSession):
            session.status()


def test_a_call_of_a_batch_can_be_given_up_from_any_thread(engine: EngineUnderTest) -> None:
    with (
        citadel.connect_sync(engine.address, token=engine.token) as client,
        client.pools.batch("shed") as batch,
    ):
        begun = batch.begin("doze", seconds=600)
        assert begun.cancel()
        assert batch.call("add", a=1) == 1
