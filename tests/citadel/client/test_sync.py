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
