"""started = kept + dropped by cause + in flight: under load, with whatever fails meanwhile."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from citadel.client.client import Client, connect
from citadel.errors import CitadelError, Unavailable
from citadel.wire.messages import ExporterConfig, KeepRule, LedgerReply, SamplingRule

Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
POLICIES: tuple[tuple[tuple[SamplingRule, ...], tuple[KeepRule, ...]], ...] = (
    ((SamplingRule(id="all", rate=1.0),), ()),
    ((SamplingRule(id="none", rate=0.0),), ()),
    ((SamplingRule(id="half", rate=0.5),), (KeepRule(id="errors", when="error"),)),
    ((SamplingRule(id="ceiling", spans_per_second=20.0),), ()),
    ((SamplingRule(id="some", rate=0.2),), (KeepRule(id="slow", when="slower_than_p99"),)),
)


def holds(ledger: LedgerReply) -> bool:
    dropped = sum(ledger.dropped.values())
    return (
        ledger.started == ledger.kept + dropped + ledger.in_flight + ledger.residual
        and ledger.residual == 0
    )


async def load(client: Client, seed: int, until: asyncio.Event) -> None:
    """Calls, failures and cancelled calls, in traces of the client and without."""
    chance = random.Random(seed)
    while not until.is_set():
        tool = chance.choice(["add", "add", "add", "fail"])
        arguments = {"a": 1, "b": 2} if tool == "add" else {}
        try:
            if chance.random() < 0.5:
                with client.trace("job", mission_class=chance.choice(["training", "critical"])):
                    await client.pools.call("workshop", tool, **arguments)
            else:
                await client.pools.call("workshop", tool, **arguments)
        except CitadelError:
            continue


async def test_it_holds_while_policies_change_and_an_exporter_is_dead(
    client: Client, until: Until
) -> None:
    before = await client.sampling.get()
    over = asyncio.Event()
    dead = ExporterConfig(name="dead", endpoint="http://127.0.0.1:9/v1/traces", queue_limit=64)
    await client.exporters.apply(dead)
    async with asyncio.TaskGroup() as tasks:
        for seed in range(8):
            tasks.create_task(load(client, seed, over))
        for rules, keep in POLICIES * 3:
            await client.sampling.apply(rules, keep=keep)
            for _ in range(10):
                assert holds(await client.traces.ledger())
                await asyncio.sleep(0.02)
        over.set()
    await client.sampling.apply(before.rules, keep=before.keep)

    async def at_rest() -> bool:
        ledger = await client.traces.ledger()
        assert holds(ledger)
        return not ledger.held and ledger.in_flight <= 0

    await until(at_rest)
    ledger = await client.traces.ledger()
    assert {"rule", "ceiling"} <= {cause for cause, number in ledger.dropped.items() if number}
    found = await client.exporters.list()
    (status,) = (each for each in found.exporters if each.config.name == "dead")
    assert status.queued < 1_000, "what waits, and what is being sent: a few times the limit"
    assert sum(status.dropped.values()) > 0
    await client.exporters.remove("dead")


async def test_it_holds_after_a_kill(headless: Any) -> None:
    engine = await headless()
    over = asyncio.Event()
    async with connect(engine.address) as client:
        await client.sampling.apply(
            (SamplingRule(id="half", rate=0.5),), keep=(KeepRule(id="errors", when="error"),)
        )

        async def calls() -> None:
            while not over.is_set():
                try:
                    await client.pools.set_state("python", "serving")
                except Unavailable:
                    return

        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(calls())
            while (await client.traces.ledger()).started < 200:
                await asyncio.sleep(0.01)
            await engine.end(signal.SIGKILL)
            over.set()
    again = await headless()
    async with connect(again.address) as client:
        assert holds(await client.traces.ledger())
        why = await client.sampling.why("ab" * 16)
        assert (why.cause, len(why.windows)) == ("crash_window", 1)


@pytest.fixture(autouse=True)
async def as_found(client: Client) -> Any:
    before = await client.sampling.get()
    yield
    await client.sampling.apply(before.rules, keep=before.keep)
