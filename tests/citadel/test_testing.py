"""What citadel.testing promises, on a real engine; its assertions fail when they should."""

from typing import Any

import pytest

from citadel.client.client import Client
from citadel.errors import Unavailable
from citadel.testing import (
    EngineUnderTest,
    assert_no_errors,
    assert_span,
    assert_whole,
    counted,
    find_spans,
    outline,
    recorded,
    start_engine,
)


def span(name: str, span_id: int, parent_id: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "span_id": span_id,
        "parent_id": parent_id,
        "source": "worker",
        "service": "w-1",
        "status": 0,
        "start_ns": span_id,
        "attributes": {},
        **values,
    }


SPANS = [
    span("root", 1, source="client"),
    span("run add", 2, 1, attributes={"a": 1, "b": "x"}),
    span("run sub", 3, 1, status=2),
]


def test_spans_are_found_by_glob_value_and_part_of_the_attributes() -> None:
    assert [each["name"] for each in find_spans(SPANS, name="run *")] == ["run add", "run sub"]
    assert find_spans(SPANS, attributes={"a": 1}) == [SPANS[1]]
    assert find_spans(SPANS, attributes={"a": 2}) == []
    assert find_spans(SPANS, name="run *", status=2) == [SPANS[2]]
    assert assert_span(SPANS, source="client") is SPANS[0]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: assert_span(SPANS, name="run *"), "2 spans match"),
        (lambda: assert_span(SPANS, name="nothing"), "0 spans match"),
        (lambda: assert_whole(SPANS[1:]), "0 roots"),
        (lambda: assert_whole([*SPANS, span("other root", 9)]), "2 roots"),
        (lambda: assert_whole([*SPANS, span("orphan", 9, 8)]), "orphan has no parent"),
        (lambda: assert_whole([*SPANS, SPANS[1]]), "twice"),
        (lambda: assert_no_errors(SPANS), "run sub"),
    ],
)
def test_assertions_fail_and_show_the_spans(check: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check()
    assert assert_whole(SPANS) is SPANS[0]
    assert_no_errors(SPANS[:2])
    assert "run add" in outline(SPANS)
    assert outline([]) == "  none"


async def test_what_was_not_recorded_is_told_with_what_was(client: Client) -> None:
    with client.trace("job") as job:
        await client.pools.call("shed", "add", a=1)
    await recorded(client, job, name="job")
    with pytest.raises(AssertionError, match="run add"):
        await recorded(client, job, name="another", timeout=0.1)
    with pytest.raises(AssertionError, match="none"):
        await recorded(client, "0" * 31 + "1", timeout=0.1)
    with pytest.raises(AssertionError, match="not sampled"):
        await recorded(client, None)


async def test_counters_are_waited_for(client: Client) -> None:
    before = await counted(client, "citadel.rpc.requests", 0, method="Pools.Run", code="OK")
    await client.pools.call("shed", "add", a=1)
    after = await counted(client, "citadel.rpc.requests", before + 1, method="Pools.Run", code="OK")
    assert after == before + 1
    with pytest.raises(AssertionError, match=r"citadel\.nothing is 0"):
        await counted(client, "citadel.nothing", timeout=0.1)


def test_an_engine_has_its_own_folder_and_takes_it_along(engine: EngineUnderTest) -> None:
    assert engine.folder.is_dir()
    assert "serves at" in engine.stderr
    with start_engine(workers=1, settings="[metrics]\nlisten = ''\n") as another:
        assert another.address != engine.address
        assert another.metrics_address == ""
        folder = another.folder
        with another.sync_client() as client:
            assert [pool.name for pool in client.pools.list()] == ["python"]
        assert another.kill() != 0
    assert not folder.exists()


def test_settings_that_are_wrong_are_told() -> None:
    with pytest.raises(Unavailable, match="nonsense"), start_engine(settings="nonsense = 1"):
        pass
