import asyncio
import json
from typing import Any

import pytest

from citadel.errors import ProviderFailed
from citadel.vocabulary import KIND_CLIENT, STATUS_ERROR
from engine.providers.chat import ChatRequest, ProviderSettings
from engine.providers.providers import Providers
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder


@pytest.fixture
def spans() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def recorder(spans: list[tuple[Any, ...]]) -> Recorder:
    made = Recorder(publish=LiveHub("instance").publish)
    made.sinks.append(lambda batch: spans.extend(batch) or 0)
    return made


def counted(recorder: Recorder, name: str) -> dict[str, float]:
    return {
        "/".join(value for _, value in labels): total
        for (counter, labels), total in recorder.counters.items()
        if counter == name
    }


async def test_without_settings_there_is_a_simulated_one(recorder: Recorder) -> None:
    providers = Providers((), recorder)

    assert [(info.name, info.simulated) for info in providers.info] == [("simulated", True)]


async def test_a_request_is_a_client_span_with_exact_counts(
    recorder: Recorder, spans: list[tuple[Any, ...]]
) -> None:
    providers = Providers([ProviderSettings(name="demo", latency_seconds=0.0)], recorder)

    with recorder.span("parent", mission="m") as parent:
        reply = await providers.chat(ChatRequest(prompt="one two"), parent)
    recorder.drain()

    span = next(span for span in spans if span[9] == "provider")
    attributes = json.loads(span[15])
    assert (span[3], span[6], span[11]) == (parent.context.span_id, KIND_CLIENT, "m")
    assert attributes["citadel.simulated"] is True
    assert attributes["gen_ai.usage.input_tokens"] == reply.input_tokens > 0
    assert attributes["gen_ai.usage.output_tokens"] == reply.output_tokens > 0
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert "server.address" not in attributes
    assert counted(recorder, "citadel.provider.requests") == {"answered/demo": 1}
    assert counted(recorder, "citadel.provider.tokens") == {
        "input/demo": reply.input_tokens,
        "output/demo": reply.output_tokens,
    }
    assert ("citadel.provider.duration", "demo") in recorder.durations


@pytest.mark.emits("provider.failed")
async def test_a_failure_is_counted_and_the_span_says_so(
    recorder: Recorder, spans: list[tuple[Any, ...]]
) -> None:
    settings = ProviderSettings(name="demo", latency_seconds=0.0, failure_rate=1.0)
    providers = Providers([settings], recorder)

    with pytest.raises(ProviderFailed):
        await providers.chat(ChatRequest(prompt="one"))
    recorder.drain()

    assert spans[0][7] == STATUS_ERROR
    assert counted(recorder, "citadel.provider.requests") == {"failed/demo": 1}


async def test_cancelling_a_request_is_no_failure_of_the_provider(recorder: Recorder) -> None:
    providers = Providers([ProviderSettings(name="demo", latency_seconds=1e6)], recorder)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(providers.chat(ChatRequest(prompt="one")), name="chat")
        await asyncio.sleep(0)
        assert recorder.ledger().started == 1
        task.cancel()

    assert counted(recorder, "citadel.provider.requests") == {"cancelled/demo": 1}
