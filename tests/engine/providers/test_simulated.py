import pytest

from citadel.errors import ProviderFailed
from engine.providers.chat import ChatRequest, ProviderSettings
from engine.providers.simulated import SimulatedProvider


async def answer(prompt: str, **settings: float) -> str:
    provider = SimulatedProvider(ProviderSettings(latency_seconds=0.0, **settings))
    return (await provider.chat(ChatRequest(prompt=prompt))).text


async def test_it_says_that_it_is_simulated() -> None:
    provider = SimulatedProvider(ProviderSettings(name="demo"))

    reply = await provider.chat(ChatRequest(prompt="Summarise.\n\nReads and writes files."))

    assert provider.info.simulated
    assert reply.simulated
    assert reply.model == "simulated"
    assert reply.text == "[simulated] Reads and writes files."


async def test_the_same_prompt_gets_the_same_answer_and_the_same_failure() -> None:
    prompts = [f"prompt {number}" for number in range(60)]

    async def outcomes(seed: int) -> list[str]:
        found: list[str] = []
        for prompt in prompts:
            try:
                found.append(await answer(prompt, seed=seed, failure_rate=0.5))
            except ProviderFailed as error:
                found.append(str(error))
        return found

    first = await outcomes(1)

    assert first == await outcomes(1)
    assert first != await outcomes(2)
    assert 10 < sum("failure_rate" in outcome for outcome in first) < 50


@pytest.mark.parametrize("prompt", ["", " \n\n ", "\n\n"])
async def test_an_empty_prompt_is_answered(prompt: str) -> None:
    assert await answer(prompt) == "[simulated] nothing was asked"


async def test_a_failure_rate_of_one_always_fails() -> None:
    with pytest.raises(ProviderFailed, match="failure_rate"):
        await answer("anything", failure_rate=1.0)
