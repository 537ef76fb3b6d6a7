"""A sender and a real receiver in a process of its own, over HTTP and gRPC."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from citadel.otlp.config import configured
from citadel.otlp.metrics import Number
from citadel.otlp.resource import Resource
from citadel.otlp.sender import BATCH_ROWS, Sender
from citadel.otlp.waiting import MAX_READINGS, Reading
from tests.otlp_receiver import Receiver, receiver

PATIENCE = 60.0
PROTOCOLS = ("http/protobuf", "grpc")


def row(number: int, size: int = 0) -> tuple[Any, ...]:
    attributes = f'{{"number":{number},"much":"{"x" * size}"}}'
    head = (7, number, number + 1, 0, 10**18, 10**18 + 1, 1, 0, "step", "engine", "", "", "", "")
    return (*head, "", attributes, "[]", "[]", "", "", 0)


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)
    return found


@pytest.fixture(scope="module")
def shared() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def losses() -> list[tuple[set[int], str]]:
    return []


@pytest.fixture
def make(losses: list[tuple[set[int], str]]) -> Iterator[Callable[..., Sender]]:
    made: list[Sender] = []

    def start(endpoint: str, protocol: str, **options: Any) -> Sender:
        retry = options.pop("retry_seconds", 60.0)
        config = configured(endpoint=endpoint, protocol=protocol, **options)
        sender = Sender(
            config,
            Resource(),
            lost=lambda ids, cause: losses.append((ids, cause)),
            retry_seconds=retry,
        )
        made.append(sender)
        return sender

    yield start
    for sender in made:
        assert sender.stop(0.0).residual == 0


def sent_ids(told: dict[str, Any]) -> set[str]:
    return {span["spanId"] for span in told["received"]["traces"]}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_all_three_signals_arrive(make: Any, protocol: str, compression: str) -> None:
    with receiver() as there:
        sender = make(
            there.endpoint(protocol),
            protocol,
            compression=compression,
            headers={"X-Team": "blue"},
            signals=("traces", "metrics", "logs"),
        )
        sender.spans([row(number) for number in range(5)])
        sender.logs([(1, "info", "pool.state", "p", "serves", 0, 0, "", "{}")])
        point = Number(name="n", labels=(), value=1.0, monotonic=True)
        sender.metrics(Reading(points=[point], start_ns=1, time_ns=2))
        assert sender.flush(PATIENCE)
        told = there.told()
        assert told["counts"] == {"traces": 5, "metrics": 1, "logs": 1}
        assert len(sent_ids(told)) == 5
        for request in told["requests"]:
            assert request["headers"]["x-team"] == "blue"
            assert request["headers"]["user-agent"].startswith("citadel/")
        figures = sender.figures()
        assert figures.sent == {"traces": 5, "metrics": 1, "logs": 1}
        assert (figures.taken, figures.queued, figures.residual) == (7, 0, 0)
        assert figures.bytes > 0
        assert figures.last_success_ns


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_rows_are_split_by_number_and_by_size(make: Any, protocol: str) -> None:
    with receiver() as there:
        sender = make(there.endpoint(protocol), protocol, compression="none")
        sender.spans([row(number) for number in range(BATCH_ROWS + 1)])
        sender.spans([row(10_000 + number, 30_000) for number in range(200)])  # 6 MB
        assert sender.flush(PATIENCE)
        told = there.told()
        assert told["counts"]["traces"] == BATCH_ROWS + 201
        assert len(sent_ids(told)) == BATCH_ROWS + 201
        assert len(told["requests"]) >= 3
        assert max(request["bytes"] for request in told["requests"]) < 4 * 2**20


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_may_pass_is_tried_again_and_nothing_is_lost(make: Any, protocol: str) -> None:
    again: list[dict[str, Any]] = (
        [{"grpc": "UNAVAILABLE"}, {"grpc": "RESOURCE_EXHAUSTED", "retry_info": 0.01}]
        if protocol == "grpc"
        else [{"code": 503}, {"code": 429, "retry_after": "0"}]
    )
    with receiver() as there:
        there.answer(*again)
        sender = make(there.endpoint(protocol), protocol)
        sender.spans([row(1), row(2)])
        assert sender.flush(PATIENCE)
        figures = sender.figures()
        assert (figures.sent, figures.dropped, figures.retries) == ({"traces": 2}, {}, 2)
        assert figures.error == ""
        assert figures.last_failure_ns


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_receiver_asks_for_is_waited_for(make: Any, protocol: str) -> None:
    wait: dict[str, Any] = (
        {"grpc": "UNAVAILABLE", "retry_info": 90.0}
        if protocol == "grpc"
        else {"code": 503, "retry_after": "90"}
    )
    with receiver() as there:
        there.answer(wait)
        sender = make(there.endpoint(protocol), protocol, retry_seconds=600.0)
        sender.spans([row(1)])
        until(lambda: sender.figures().state == "retrying")
        assert sender._not_before - time.monotonic() > 60
        assert sender.figures().queued == 1


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [
        ("http/protobuf", {"code": 400, "message": "no such key"}),
        ("http/protobuf", {"code": 401}),
        ("http/protobuf", {"code": 200, "kind": "text/html"}),
        ("grpc", {"grpc": "PERMISSION_DENIED"}),
        ("grpc", {"grpc": "RESOURCE_EXHAUSTED"}),
    ],
)
def test_what_is_refused_is_dropped_and_told(
    make: Any, losses: list[Any], protocol: str, answer: dict[str, Any]
) -> None:
    with receiver() as there:
        there.answer(answer)
        sender = make(there.endpoint(protocol), protocol)
        sender.spans([row(1), row(2)])
        assert sender.flush(PATIENCE)
        figures = until(lambda: sender.figures() if losses else None)
        assert (figures.sent, figures.dropped) == ({}, {"rejected": 2})
        assert figures.state == "failed"
        assert figures.error
        assert losses == [({7 << 64 | 1, 7 << 64 | 2}, "rejected")]
        sender.spans([row(3)])
        assert sender.flush(PATIENCE)
        assert sender.figures().sent == {"traces": 1}
        until(lambda: sender.figures().state == "idle")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_partial_success_is_counted(make: Any, protocol: str) -> None:
    with receiver() as there:
        there.answer({"rejected": 2})
        sender = make(there.endpoint(protocol), protocol)
        sender.spans([row(number) for number in range(5)])
        assert sender.flush(PATIENCE)
        figures = sender.figures()
        assert (figures.sent, figures.dropped) == ({"traces": 3}, {"rejected": 2})
        assert "the test wants it so" in figures.error


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_full_queue_drops_and_takes_no_time(make: Any, losses: list[Any], protocol: str) -> None:
    with receiver() as there:
        there.answer({"hang": True})
        sender = make(there.endpoint(protocol), protocol, queue_limit=100)
        sender.spans([row(0)])
        until(lambda: there.told()["requests"])  # it hangs
        sender.spans([row(number) for number in range(1, 151)])
        figures = sender.figures()
        assert (figures.queued, figures.dropped) == (101, {"queue_full": 50})
        assert figures.residual == 0
        [(ids, cause)] = losses
        assert (len(ids), cause) == (50, "queue_full")
        assert sender.stop(0.1).dropped == {"queue_full": 50, "shutdown": 101}
        assert {cause for _, cause in losses} == {"queue_full", "shutdown"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_killed_receiver_loses_nothing_unaccounted_and_is_found_again(
    make: Any, losses: list[Any], protocol: str
) -> None:
    there = Receiver()
    try:
        sender = make(there.endpoint(protocol), protocol, retry_seconds=0.5)
        sender.spans([row(1)])
        assert sender.flush(PATIENCE)
    finally:
        there.kill()
    sender.spans([row(2)])
    until(lambda: sender.figures().dropped)
    assert sender.figures().dropped == {"unreachable": 1}
    assert losses == [({7 << 64 | 2}, "unreachable")]
    assert sender.figures().state == "failed"
    with receiver(there.http_port, there.grpc_port) as back:
        # Channels look again a little later: what goes meanwhile may be lost, and is counted.
        def arrived() -> bool:
            sender.spans([row(3)])
            sender.flush(PATIENCE)
            return back.counts()["traces"] > 0

        until(arrived)
        figures = sender.figures()
        assert figures.sent["traces"] == 1 + back.counts()["traces"]
        assert figures.residual == 0


def test_stop_sends_what_waits(make: Any, shared: Receiver) -> None:
    before = shared.counts()["traces"]
    sender = make(shared.http, "http/protobuf")
    sender.spans([row(number) for number in range(3_000)])
    figures = sender.stop(PATIENCE)
    assert (figures.sent, figures.dropped) == ({"traces": 3_000}, {})
    assert shared.counts()["traces"] == before + 3_000
    sender.spans([row(1)])
    assert sender.figures().taken == 3_000


def test_a_paused_sender_takes_nothing_and_keeps_what_waits(make: Any, shared: Receiver) -> None:
    sender = make("http://127.0.0.1:9", "http/protobuf")
    sender.spans([row(1)])
    until(lambda: sender.figures().state == "retrying")
    paused = configured(endpoint=shared.http, paused=True)
    sender.configure(paused)
    sender.spans([row(2)])
    figures = sender.figures()
    assert (figures.state, figures.taken, figures.queued) == ("paused", 1, 1)
    sender.configure(configured(endpoint=shared.http))
    assert sender.flush(PATIENCE)
    assert sender.figures().sent == {"traces": 1}


def test_a_header_from_the_environment_is_read_when_it_is_sent(
    make: Any, monkeypatch: pytest.MonkeyPatch, losses: list[Any]
) -> None:
    monkeypatch.delenv("CITADEL_TEST_KEY", raising=False)
    with receiver() as there:
        sender = make(there.http, "http/protobuf", headers={"x-key": "env:CITADEL_TEST_KEY"})
        sender.spans([row(1)])
        assert sender.flush(PATIENCE)
        assert sender.figures().dropped == {"invalid": 1}
        assert "CITADEL_TEST_KEY" in sender.figures().error
        monkeypatch.setenv("CITADEL_TEST_KEY", "sesame")
        sender.spans([row(2)])
        assert sender.flush(PATIENCE)
        assert there.told()["requests"][0]["headers"]["x-key"] == "sesame"


def test_signals_that_were_not_asked_for_are_not_taken(make: Any, shared: Receiver) -> None:
    sender = make(shared.http, "http/protobuf", signals=("logs",))
    sender.spans([row(1)])
    assert sender.figures().taken == 0


def test_readings_that_wait_are_few(make: Any) -> None:
    with receiver() as there:
        there.answer({"hang": True})
        sender = make(there.http, "http/protobuf", signals=("metrics",))
        point = Number(name="n", labels=(), value=1.0, monotonic=True)
        reading = Reading(points=[point, point], start_ns=1, time_ns=2)
        sender.metrics(reading)
        until(lambda: there.told()["requests"])
        for _ in range(MAX_READINGS + 2):
            sender.metrics(reading)
        figures = sender.figures()
        assert figures.dropped == {"queue_full": 4}
        assert figures.queued == 2 * (MAX_READINGS + 1)


def test_rows_from_many_threads_are_all_accounted(make: Any, shared: Receiver) -> None:
    sender = make(shared.http, "http/protobuf", queue_limit=500)

    def give(start: int) -> None:
        for number in range(40):
            sender.spans([row(start + number * 50 + each) for each in range(50)])

    threads = [threading.Thread(target=give, args=(at * 10_000,)) for at in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert sender.figures().residual == 0
    for thread in threads:
        thread.join()
    assert sender.flush(PATIENCE)
    figures = sender.figures()
    assert figures.taken == 8_000
    assert figures.sent["traces"] + figures.dropped.get("queue_full", 0) == 8_000
    assert figures.residual == 0
