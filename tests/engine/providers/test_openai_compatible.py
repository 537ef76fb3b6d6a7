import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from citadel.errors import BadConfig, ProviderFailed
from citadel.trace import SpanContext, parse_traceparent
from engine.providers.chat import ChatRequest, ProviderSettings
from engine.providers.openai_compatible import OpenAICompatibleProvider
from engine.providers.providers import Providers
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder
from tests.engine.providers.conftest import Answer, Endpoint, completion, says

KEY = "sk-test-0123456789abcdefghijkl"
ASKED = ChatRequest(prompt="What is two and two?", system="Be brief.", max_tokens=17)
MakeProvider = Callable[..., OpenAICompatibleProvider]


@pytest.fixture
async def provider(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeProvider]:
    monkeypatch.setenv("TINY_KEY", KEY)
    made: list[OpenAICompatibleProvider] = []

    def make(**changes: Any) -> OpenAICompatibleProvider:
        values: dict[str, Any] = {
            "name": "tiny",
            "kind": "openai",
            "base_url": endpoint.url,
            "model": "tiny-1",
            "api_key_env": "TINY_KEY",
            "timeout_seconds": 10.0,
            "max_retries": 0,
        }
        made.append(OpenAICompatibleProvider(ProviderSettings(**{**values, **changes})))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def hangs(endpoint: Endpoint) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        endpoint.released.wait(30)
        handler.close_connection = True

    return answer


def drips(endpoint: Endpoint) -> Answer:
    """A byte now and then: no single read ever times out."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", "100000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not endpoint.released.wait(0.02):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        handler.close_connection = True

    return answer


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


async def test_a_good_answer(endpoint: Endpoint, provider: MakeProvider) -> None:
    endpoint.answers.append(says(200, completion()))

    reply = await provider().chat(ASKED)

    assert (reply.text, reply.model, reply.simulated) == ("Four.", "tiny-1-0613", False)
    assert (reply.input_tokens, reply.output_tokens, reply.finish_reason) == (12, 3, "stop")
    (sent,) = endpoint.requests
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert (sent.body["model"], sent.body["max_tokens"]) == ("tiny-1", 17)
    assert sent.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is two and two?"},
    ]


async def test_no_system_prompt_and_no_key(endpoint: Endpoint, provider: MakeProvider) -> None:
    endpoint.answers.append(says(200, completion(usage=None)))

    reply = await provider(api_key_env="").chat(ChatRequest(prompt="Hello"))

    assert (reply.input_tokens, reply.output_tokens) == (0, 0)
    assert endpoint.requests[0].body["messages"] == [{"role": "user", "content": "Hello"}]
    assert KEY not in str(endpoint.requests[0].headers)


async def test_too_many_requests_are_tried_again_when_the_endpoint_says_so(
    endpoint: Endpoint, provider: MakeProvider
) -> None:
    slow_down = says(429, {"error": {"message": "slow down"}}, retry_after="0.01")
    endpoint.answers += [slow_down, slow_down, says(200, completion())]

    reply = await provider(max_retries=2).chat(ASKED)

    assert reply.text == "Four."
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(429, {"error": {"message": "slow down"}}, retry_after="0.01"), "RateLimitError"),
        (says(500, {"error": {"message": "it broke"}}), "InternalServerError.*it broke"),
        (says(503, b"<html>no</html>"), "InternalServerError"),
        (says(401, {"error": {"message": f"wrong key {KEY}"}}), "AuthenticationError.*wrong key …"),
        (says(404, {"error": {"message": "no model tiny-1"}}), "NotFoundError.*no model tiny-1"),
        (says(200, b"<html>hello</html>"), "no chat completion"),
        (says(200, b'{"choices": [{"mess'), "no chat completion"),
        (says(200, b"[1, 2, 3]"), "no chat completion"),
        (says(200, b"\xff\xfe\x00garbage"), "no chat completion"),
        (says(200, {"choices": []}), "no chat completion"),
        (says(200, {"choices": None}), "no chat completion"),
        (says(200, completion(text=None)), "no chat completion.*no text"),
        (says(200, completion(text=["not", "text"])), "no chat completion"),
        (says(200, {"error": "out of order"}), "no chat completion"),
        (hangs_up, "APIConnectionError"),
    ],
)
async def test_what_is_no_answer_is_a_provider_failed(
    endpoint: Endpoint, provider: MakeProvider, answer: Answer, said: str
) -> None:
    endpoint.answers.append(answer)

    with pytest.raises(ProviderFailed, match=f"provider tiny failed: .*{said}") as caught:
        await provider().chat(ASKED)
    assert caught.value.subject == "tiny"
    assert endpoint.url in caught.value.remedy
    assert KEY not in _everything(caught.value)


@pytest.mark.parametrize("way", [hangs, drips])
@pytest.mark.parametrize("retries", [0, 3])
async def test_an_endpoint_that_hangs_is_given_up(
    endpoint: Endpoint, provider: MakeProvider, way: Callable[[Endpoint], Answer], retries: int
) -> None:
    endpoint.answers.append(way(endpoint))

    with pytest.raises(ProviderFailed, match=r"no answer within 0\.3 s"):
        await provider(timeout_seconds=0.3, max_retries=retries).chat(ASKED)


async def test_an_endpoint_that_asks_to_wait_for_longer_than_there_is_time(
    endpoint: Endpoint, provider: MakeProvider
) -> None:
    endpoint.answers.append(says(429, {"error": {"message": "later"}}, retry_after="50"))

    with pytest.raises(ProviderFailed, match=r"no answer within 0\.5 s"):
        await provider(timeout_seconds=0.5, max_retries=5).chat(ASKED)


async def test_no_endpoint_there(provider: MakeProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(ProviderFailed, match="APIConnectionError"):
        await provider(base_url=f"http://127.0.0.1:{port}/v1").chat(ASKED)


def test_a_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT_KEY", raising=False)

    with pytest.raises(BadConfig, match="ABSENT_KEY, which is not set"):
        OpenAICompatibleProvider(ProviderSettings(kind="openai", api_key_env="ABSENT_KEY"))


def test_no_model_is_named() -> None:
    with pytest.raises(BadConfig, match="names no model"):
        OpenAICompatibleProvider(ProviderSettings(name="tiny", kind="openai", model=""))


@pytest.mark.parametrize(
    "answer",
    [says(200, completion()), says(401, {"error": {"message": f"wrong key {KEY}"}})],
    ids=["good", "refused"],
)
async def test_the_span_says_what_was_asked_of_whom_and_never_the_key(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setenv("TINY_KEY", KEY)
    endpoint.answers.append(answer)
    hub = LiveHub("instance")
    recorder = Recorder(publish=hub.publish)
    spans: list[tuple[Any, ...]] = []
    recorder.sinks.append(lambda batch: spans.extend(batch) or 0)
    settings = ProviderSettings(
        name="tiny",
        kind="openai",
        base_url=endpoint.url,
        model="tiny-1",
        api_key_env="TINY_KEY",
        max_retries=0,
    )
    providers = Providers([settings], recorder)

    with contextlib.suppress(ProviderFailed):
        await providers.chat(ASKED, SpanContext(7, 9))
    await providers.close()
    recorder.drain()

    (span,) = spans
    attributes = json.loads(span[15])
    assert span[1] == 7
    assert span[3] == 9
    assert (span[8], span[9], span[10]) == ("chat tiny-1", "provider", "tiny")
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "tiny"
    assert attributes["gen_ai.request.model"] == "tiny-1"
    assert f"{attributes['server.address']}:{attributes['server.port']}" in endpoint.url
    assert attributes["citadel.simulated"] is False
    sent = parse_traceparent(endpoint.requests[0].headers["traceparent"])
    assert sent is not None
    assert (sent.trace_id, sent.span_id) == (7, span[2])
    _, batches = hub.snapshot(["event"])
    assert KEY not in str(spans) + str(batches)
    assert "two and two" not in str(spans)


def _everything(error: BaseException | None) -> str:
    """The error as any log could show it: its text, details and causes."""
    if error is None:
        return ""
    own = f"{error!r} {error} {vars(error)}"
    shown = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own + _everything(shown)
