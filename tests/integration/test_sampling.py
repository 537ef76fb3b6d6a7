"""Overrides that end by themselves, keep-rules, and why: on a real engine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgpack
import pytest

from citadel.client.client import Client, connect
from citadel.errors import CitadelError, Conflict, InvalidRequest, NotFound
from citadel.testing import recorded
from citadel.wire.columns import rows
from citadel.wire.messages import Command, KeepRule, SamplingRule

NONE = (SamplingRule(id="none", rate=0.0),)
Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


async def run(client: Client, a: int = 1, *, pool: str = "workshop", tool: str = "add") -> Any:
    arguments = msgpack.packb({"a": a, "b": 1})
    return await client.pools.run(Command(pool=pool, tool=tool, arguments=arguments))


@pytest.fixture(autouse=True)
async def as_found(client: Client) -> AsyncIterator[None]:
    before = await client.sampling.get()
    yield
    for each in (await client.sampling.get()).overrides:
        await client.sampling.revert(each.id)
    await client.sampling.apply(before.rules, keep=before.keep)


async def test_an_override_goes_first_and_ends_by_itself(client: Client, until: Until) -> None:
    base = await client.sampling.apply(NONE, keep=())
    look = SamplingRule(id="look", pool="workshop", rate=1.0)
    made = await client.sampling.override(look, 1.5, reason="an incident", actor="ana")
    (found,) = made.overrides
    assert (found.owner, found.reason, found.rule) == ("ana", "an incident", look)
    with pytest.raises(Conflict, match="look"):
        await client.sampling.override(look, 10, reason="twice")
    result = await run(client)
    why = await client.sampling.why(result.trace_id)
    assert (why.fate, why.cause, why.rule_id) == ("kept", "override", "look")
    assert (why.actor, why.reason) == ("ana", "an incident")

    async def over() -> bool:
        return not (await client.sampling.get()).overrides

    await until(over)
    after = await client.sampling.get()
    assert (after.actor, after.rules) == ("engine", base.rules)
    assert "look expired" in after.reason
    dropped = await run(client)
    why = await client.sampling.why(dropped.trace_id)
    assert (why.fate, why.cause, why.rule_id) == ("dropped", "rule", "none")


async def test_an_override_is_reverted_and_needs_a_reason(client: Client) -> None:
    rule = SamplingRule(id="short", rate=0.5)
    with pytest.raises(InvalidRequest, match="reason"):
        await client.sampling.override(rule, 10, reason=" ")
    with pytest.raises(InvalidRequest, match="0 s"):
        await client.sampling.override(rule, 0, reason="r")
    await client.sampling.override(rule, 60, reason="r")
    left = await client.sampling.revert("short", reason="enough")
    assert left.overrides == ()
    with pytest.raises(NotFound, match="short"):
        await client.sampling.revert("short")


async def test_an_error_keeps_the_trace_across_processes(client: Client) -> None:
    await client.sampling.apply(NONE, keep=(KeepRule(id="errors", when="error"),))
    with client.trace("fails") as failing, pytest.raises(CitadelError):
        await client.pools.call("workshop", "fail")
    spans = await recorded(client, failing, source="worker")
    assert {span["source"] for span in spans} >= {"pool", "worker"}
    assert all(span["threshold"] == 2**56 for span in spans)
    why = await client.sampling.why(failing.context.trace_hex)
    assert (why.fate, why.cause, why.rule_id) == ("kept", "keep_rule", "errors")


async def test_why_of_a_command_and_of_what_never_was(client: Client) -> None:
    await client.sampling.apply(NONE, keep=(), actor="ben", reason="too much")
    result = await run(client)
    why = await client.sampling.why(command_id=result.id)
    assert why.trace_id == result.trace_id
    assert (why.fate, why.cause, why.actor, why.reason) == ("dropped", "rule", "ben", "too much")
    assert why.randomness < why.threshold == 2**56
    never = await client.sampling.why("1" * 32)
    assert (never.fate, never.cause) == ("unknown", "never_seen")
    with pytest.raises(NotFound, match="no command"):
        await client.sampling.why(command_id="nobody's")
    with pytest.raises(InvalidRequest, match="no trace id"):
        await client.sampling.why("abc")


async def test_a_preview_counts_spans_and_shows_what_flips(client: Client) -> None:
    await client.sampling.apply((SamplingRule(id="all", rate=1.0),), keep=())
    for number in range(20):
        await run(client, number)
    await client.traces.ledger()
    lost = SamplingRule(id="lost", mission="no such mission*", rate=0.1)
    found = await client.sampling.preview((lost, *NONE), keep=())
    assert found.kept_now >= 20
    assert found.kept_then == found.kept_then_low == found.kept_then_high == 0
    assert found.spans_now >= 40
    assert found.bytes_now > found.spans_now * 100
    assert (found.spans_then, found.bytes_then) == (0, 0)
    assert found.unmatched == ("lost",)
    assert len(found.examples) == 20
    assert all(each.kept_now and not each.kept_then for each in found.examples)


async def test_each_change_is_an_event_of_its_calls_span(client: Client) -> None:
    with client.trace("change") as span:
        applied = await client.sampling.apply((SamplingRule(id="all", rate=1.0),), keep=())
    spans = await recorded(client, span, source="api")
    (event,) = next(each for each in spans if each["source"] == "api")["events"]
    assert event["name"] == "sampling.changed"
    assert event["attributes"] == {"citadel.sampling.revision": applied.revision}


async def test_rules_for_events(client: Client) -> None:
    quiet = SamplingRule(id="quiet", event="action", rate=0.0)
    await client.sampling.apply((quiet,), keep=())
    states = ["paused", "serving"]
    events: list[str] = []
    audited = 0
    updates = client.watch(["event", "audit"])
    async with asyncio.timeout(20):
        await anext(updates)  # what was before
        for state in states:
            await client.pools.set_state("workshop", state)
        async for update in updates:
            for topic, table in update.tables.items():
                audited += sum(topic == "audit" for _ in rows(table))
                events += [row["name"] for row in rows(table) if topic == "event"]
            if audited == len(states) and "pool.state" in events:
                break
    await updates.aclose()
    assert "action" not in events, "the trail has it, and the events were told to be quiet"


async def test_overrides_and_audit_survive_a_restart(headless: Any) -> None:
    engine = await headless()
    async with connect(engine.address) as client:
        await client.sampling.apply(NONE, keep=())
        await client.sampling.override(SamplingRule(id="brief", rate=1.0), 0.2, reason="r")
        await client.sampling.override(SamplingRule(id="long", rate=1.0), 600, reason="r")
        with client.trace("any") as span:
            await client.pools.set_state("python", "serving")
        assert (await client.sampling.why(span.context.trace_hex)).fate == "kept"
    await engine.end(9)
    again = await headless()
    async with connect(again.address) as client:
        policy = await client.sampling.get()
        while any(each.id == "brief" for each in policy.overrides):
            await asyncio.sleep(0.05)
            policy = await client.sampling.get()
        assert [each.id for each in policy.overrides] == ["long"]
        why = await client.sampling.why(span.context.trace_hex)
        assert (why.fate, why.cause) == ("kept", "override")
        unknown = await client.sampling.why("1" * 32)
        assert (unknown.cause, len(unknown.windows)) == ("crash_window", 1)
        ledger = await client.traces.ledger()
        assert ledger.residual == 0
        _, intact = await client.audit()
        assert intact
