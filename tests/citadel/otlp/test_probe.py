"""What `test()` says of receivers that are well, and of those that are not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from citadel.otlp.config import configured
from citadel.otlp.probe import SPAN_NAME, probe
from tests.otlp_receiver import Receiver, receiver


@pytest.fixture(scope="module")
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_span_arrives(there: Receiver, protocol: str) -> None:
    said = probe(configured(endpoint=there.endpoint(protocol), protocol=protocol))
    assert said.ok
    assert (said.status in {"200 OK", "OK"}, said.remedy, said.detail) == (True, "", "")
    [span] = [each for each in there.told()["received"]["traces"] if each["name"] == SPAN_NAME][-1:]
    assert len(said.trace_id) == 32
    assert span["attributes"][0]["key"] == "citadel.exporter.test"
    assert said.seconds > 0


@pytest.mark.parametrize(
    ("answer", "protocol", "status", "remedy"),
    [
        ({"code": 401}, "http/protobuf", "401 Unauthorized", "x-key"),
        ({"code": 403}, "http/protobuf", "403 Forbidden", "may not"),
        ({"grpc": "UNAUTHENTICATED"}, "grpc", "UNAUTHENTICATED", "x-key"),
        ({"code": 503}, "http/protobuf", "503 Service Unavailable", "later"),
        ({"rejected": 1}, "http/protobuf", "200 OK", "not all"),
        ({"kind": "text/html"}, "http/protobuf", "200 OK", "protocol grpc"),
    ],
)
def test_what_came_back_is_told_with_a_remedy(
    there: Receiver, answer: dict[str, object], protocol: str, status: str, remedy: str
) -> None:
    there.answer(answer)
    config = configured(
        endpoint=there.endpoint(protocol), protocol=protocol, headers={"x-key": "k"}
    )
    said = probe(config)
    assert not said.ok
    assert said.status == status
    assert remedy in said.remedy


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nobody_is_there(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = probe(configured(endpoint=f"http://127.0.0.1:{port}", protocol=protocol, timeout=5))
    assert not said.ok
    assert "Nothing listens" in said.remedy
    assert str(port) in said.remedy


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_somebody_is_there_and_never_answers(deaf: int, protocol: str) -> None:
    said = probe(configured(endpoint=f"http://127.0.0.1:{deaf}", protocol=protocol, timeout=0.3))
    assert not said.ok
    assert said.remedy


def test_the_wrong_path(there: Receiver) -> None:
    said = probe(configured(endpoint=f"{there.http}/nowhere"))
    assert said.status == "404 Not Found"
    assert "the part before /v1/traces" in said.remedy
    assert said.endpoint == f"{there.http}/nowhere/v1/traces"


def test_the_wrong_protocol_on_a_port(there: Receiver) -> None:
    http_on_grpc = probe(configured(endpoint=there.grpc, timeout=5))
    assert "try protocol grpc" in http_on_grpc.remedy
    grpc_on_http = probe(configured(endpoint=there.http, protocol="grpc", timeout=5))
    assert "try protocol http/protobuf" in grpc_on_http.remedy


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_encryption_where_there_is_none(there: Receiver, protocol: str) -> None:
    endpoint = there.endpoint(protocol).replace("http://", "https://")
    said = probe(configured(endpoint=endpoint, protocol=protocol, timeout=5))
    assert not said.ok
    assert "Encryption failed" in said.remedy


def test_an_exporter_without_traces_is_tested_too(there: Receiver) -> None:
    said = probe(configured(endpoint=there.http, signals=("metrics",)))
    assert said.ok
    assert said.trace_id == ""


def test_a_variable_that_is_not_set(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITADEL_TEST_KEY", raising=False)
    said = probe(configured(endpoint=there.http, headers={"x-key": "env:CITADEL_TEST_KEY"}))
    assert "CITADEL_TEST_KEY" in said.status
    assert "Set the variable" in said.remedy
