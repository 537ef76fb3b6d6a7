import pytest

from engine.guards.contract import GuardRequest
from engine.guards.data_check import DataCheck


async def rules(text: str) -> dict[str, float]:
    finding = await DataCheck().check(GuardRequest(text=text))
    return {reason.rule: reason.score for reason in finding.reasons}


@pytest.mark.parametrize(
    "text",
    [
        "A plain question?",
        "[simulated] An answer that is no JSON",
        '{"a": [1, 2, {"b": "}"}]}',
        "\x1b[31mred\x1b[0m\ttab\r\n",
        "a b c " * 300,
    ],
)
async def test_sound_text_has_no_reasons(text: str) -> None:
    assert await rules(text) == {}


@pytest.mark.parametrize(
    ("text", "rule", "at_least"),
    [
        ("   ", "data.empty", 0.1),
        ("ab " * 20_000, "data.size", 0.5),
        ("a\x00b\x01c", "data.control-characters", 0.5),
        ("caf\ufffd " * 20, "data.encoding", 0.5),
        ("\ud800 alone", "data.encoding", 0.3),
        ("[" * 100, "data.nesting", 0.5),
        ('{"a":' * 20_000, "data.nesting", 0.5),
        ('{"a": 1,}', "data.json", 0.1),
        ("na " * 3_000, "data.repetition", 0.5),
    ],
)
async def test_unsound_text_is_named(text: str, rule: str, at_least: float) -> None:
    assert (await rules(text))[rule] >= at_least


async def test_the_range_is_of_the_first_bad_character() -> None:
    finding = await DataCheck().check(GuardRequest(text="ab\x07c"))

    assert [(reason.start, reason.end) for reason in finding.reasons] == [(2, 3)]
