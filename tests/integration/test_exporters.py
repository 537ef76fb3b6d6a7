"""Exporters of a real engine: configured, tested, with killed receivers and after restarts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import citadel
from citadel.client.client import Client
from citadel.errors import Conflict, InvalidRequest, NotFound
from citadel.otlp.config import MASK, configured
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import ExporterConfig, ExporterStatus, SnapshotRequest
from tests.otlp_receiver import Receiver, receiver

Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
PROTOCOLS = ("http/protobuf", "grpc")
SURVEY = 'pools=[{name="workshop", adapter="workshop:Workshop", size=2}]'
CALLS = 40


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
async def exporting(client: Client) -> AsyncIterator[Client]:
    """The shared engine; what exporters a test adds are removed after it."""
    yield client
    for each in (await client.exporters.list()).exporters:
        assert each.config
        await client.exporters.remove(each.config.name)


async def status(client: Client, name: str = "out") -> ExporterStatus:
    found = (await client.exporters.list()).exporters
    return next(each for each in found if each.config and each.config.name == name)


def settled(status: ExporterStatus) -> int:
    return sum(status.sent.values()) + sum(status.dropped.values())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.emits("exporters.changed", "citadel.exporter.sent", "citadel.exporter.bytes")
async def test_spans_metrics_and_events_of_the_engine_arrive(
    exporting: Client, there: Receiver, until: Until, protocol: str
) -> None:
    client = exporting
    config = configured(
        name="out",
        endpoint=there.endpoint(protocol),
        protocol=protocol,
        signals=("traces", "metrics", "logs"),
    )
    assert (await client.exporters.apply(config, reason="a test")).state == "idle"
    with client.trace("mine") as span:
        assert await client.pools.call("workshop", "add", a=1, b=2) == 3
    assert span
    await client.exporters.apply(config)  # an event: exporters.changed

    async def came() -> Any:
        told = await asyncio.to_thread(there.told)
        names = {metric["name"] for metric in told["received"]["metrics"]}
        events = {record.get("eventName") for record in told["received"]["logs"]}
        spans = [s for s in told["received"]["traces"] if trace_of(s) == span.context.trace_hex]
        complete = {"citadel.rpc.requests", "citadel.spans.started", "citadel.process.rss"}
        return (
            told
            if complete <= names and "exporters.changed" in events and len(spans) >= 3
            else None
        )

    told = await until(came)
    mine = [s for s in told["received"]["traces"] if trace_of(s) == span.context.trace_hex]
    known = {s["spanId"] for s in mine}
    assert sum("parentSpanId" not in s or s["parentSpanId"] not in known for s in mine) == 1
    durations = [m for m in told["received"]["metrics"] if "exponentialHistogram" in m]
    assert any(m["name"] == "citadel.rpc.duration" for m in durations)


def trace_of(span: dict[str, Any]) -> str:
    import base64

    return base64.b64decode(span["traceId"]).hex()


async def test_changes_are_numbered_audited_and_secrets_stay_secret(
    exporting: Client, there: Receiver
) -> None:
    client = exporting
    before = (await client.exporters.list()).revision
    config = configured(
        name="out", endpoint=there.http, headers={"x-key": "sesame", "x-team": "env:TEAM"}
    )
    applied = await client.exporters.apply(config, revision=before, actor="me", reason="why not")
    assert applied.revision == before + 1
    assert applied.config
    assert applied.config.headers == {"x-key": MASK, "x-team": "env:TEAM"}
    with pytest.raises(Conflict) as stale:
        await client.exporters.apply(config, revision=before)
    assert "sesame" not in json.dumps(stale.value.details)
    # What was masked comes back: the secret stays.
    again = await client.exporters.apply(applied.config, actor="me", reason="as it was")
    assert again.config == applied.config
    tried = await client.exporters.test(ExporterConfig(name="out", endpoint=there.http))
    assert tried.ok
    entries = [row for row in rows((await client.audit())[0]) if row["action"] == "exporters.apply"]
    assert [row["reason"] for row in entries[-2:]] == ["why not", "as it was"]
    assert entries[-1]["actor"].startswith("me")
    assert all("sesame" not in row["before"] + row["after"] for row in entries)
    assert MASK in entries[-1]["after"]
    assert (await client.audit())[1]
    stored = str(rows(await client.traces.search())) + str(entries)
    assert "sesame" not in stored
    with pytest.raises(NotFound, match="no exporter"):
        await client.exporters.remove("nobody")
    with pytest.raises(InvalidRequest):
        await client.exporters.apply(ExporterConfig(name="out", endpoint="nonsense"))


async def test_the_topic_shows_each_state(exporting: Client, there: Receiver, until: Until) -> None:
    client = exporting
    seen: list[dict[str, Any]] = []

    async def watch() -> None:
        async for update in client.watch(["exporter"]):
            for table in update.tables.values():
                seen.extend(rows(table))

    watching = asyncio.get_running_loop().create_task(watch())
    await client.exporters.apply(configured(name="out", endpoint=there.http))
    await client.pools.call("workshop", "add", a=1, b=2)

    def has(**wanted: Any) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return any(all(row[k] == v for k, v in wanted.items()) for row in seen)

        return look

    await until(has(name="out", state="idle", protocol="http/protobuf"))

    async def sent() -> bool:
        return any(row["sent"] for row in seen)

    await until(sent)
    await client.exporters.remove("out")
    await until(has(name="out", state="gone"))
    watching.cancel()
    await asyncio.wait([watching])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.emits("exporter.failed", "exporter.dropped", "exporter.recovered")
@pytest.mark.emits("citadel.exporter.queued", "citadel.exporter.dropped")
@pytest.mark.emits("citadel.exporter.retries")
async def test_a_receiver_killed_in_mid_run_costs_no_call_and_each_loss_is_told(
    exporting: Client, until: Until, protocol: str
) -> None:
    """Counts, not times: while it is dead every call is answered, and every span accounted for."""
    client, there, began = exporting, Receiver(), time.time_ns()
    name = f"killed-{protocol[:4]}"  # what exporters of other tests told is not of interest
    config = configured(
        name=name, endpoint=there.endpoint(protocol), protocol=protocol, queue_limit=64
    )
    await client.exporters.apply(config)

    async def calls() -> None:
        results = [await client.pools.call("workshop", "add", a=n, b=1) for n in range(CALLS)]
        assert results == [n + 1 for n in range(CALLS)]

    await calls()

    async def some() -> bool:
        return (await status(client, name)).sent.get("traces", 0) > 0

    await until(some)
    there.kill()
    await calls()
    await calls()

    async def full() -> Any:
        found = await status(client, name)
        down = found.state in {"retrying", "failed"}
        return found if down and found.dropped.get("queue_full") else None

    found = await until(full)
    assert found.error
    # It comes back: what waited and what is new arrives.
    with receiver(there.http_port, there.grpc_port) as back:

        async def again() -> bool:
            await client.pools.call("workshop", "add", a=1, b=1)
            return await asyncio.to_thread(lambda: back.counts()["traces"] > 0)

        await until(again)

        async def quiet() -> Any:
            found = await status(client, name)
            return found if found.queued == 0 and found.state == "idle" else None

        found = await until(quiet)

        async def told() -> bool:
            reply = await client.connection.call(
                "Engine.Snapshot", SnapshotRequest(topics=("event",))
            )
            events = [row for table in reply.batches for row in rows(unpack(table))]
            mine = [row for row in events if row["subject"] == name and row["time_ns"] >= began]
            names = {row["name"] for row in mine}
            return names >= {"exporter.failed", "exporter.dropped", "exporter.recovered"}

        await until(told)
    ledger = await client.traces.ledger()
    assert ledger.residual == 0
    assert settled(found) > CALLS


async def test_exporters_of_the_settings_file_start_with_the_engine_and_outlive_kill_9(
    headless: Any, there: Receiver, until: Until, tmp_path: Path
) -> None:
    config = tmp_path / "engine.toml"
    config.write_text(
        "[[telemetry.exporters]]\n"
        'name = "file"\n'
        f'endpoint = "{there.http}"\n'
        'headers = { x-key = "env:CITADEL_TEST_KEY" }\n'
        'signals = ["traces", "metrics"]\n'
    )
    started = await headless("--config", str(config), CITADEL_TEST_KEY="sesame")
    async with citadel.connect(started.address) as client:
        assert (await status(client, "file")).state in {"idle", "sending"}
        await client.exporters.apply(
            configured(name="mine", endpoint=there.http, signals=("logs",))
        )
        paused = configured(name="mine", endpoint=there.http, signals=("logs",), paused=True)
        await client.exporters.apply(paused)

        async def arrived() -> bool:
            told = await asyncio.to_thread(there.told)
            return any(r["headers"].get("x-key") == "sesame" for r in told["requests"])

        await until(arrived)
    started.process.kill()
    await started.process.wait()
    again = await headless("--config", str(config), CITADEL_TEST_KEY="sesame")
    async with citadel.connect(again.address) as client:
        found = {
            each.config.name: each
            for each in (await client.exporters.list()).exporters
            if each.config
        }
        assert set(found) == {"file", "mine"}
        assert found["mine"].state == "paused"
        assert found["mine"].config
        assert found["mine"].config.signals == ("logs",)


async def test_a_wrong_exporter_in_the_settings_is_told_at_the_start(
    refused: Any, tmp_path: Path
) -> None:
    config = tmp_path / "engine.toml"
    config.write_text(
        '[[telemetry.exporters]]\nname = "x"\nendpoint = "nowhere"\napi_key = "sesame"\n'
    )
    code, _, errors = await refused("--config", str(config))
    assert code == 2
    assert "telemetry.exporters" in errors
    assert "sesame" not in errors


async def test_what_waits_is_sent_when_the_engine_ends(headless: Any, there: Receiver) -> None:
    import signal

    signals = '["traces", "metrics", "logs"]'
    exporter = f'{{name="out", endpoint="{there.http}", signals={signals}}}'
    engine = await headless("--set", f"telemetry.exporters=[{exporter}]")
    async with citadel.connect(engine.address) as client:
        await client.exporters.apply(configured(name="other", endpoint=there.http))
    code, errors = await engine.end(signal.SIGTERM)
    assert code == 0, errors
    told = there.told()
    assert {record.get("eventName") for record in told["received"]["logs"]} >= {"engine.stopping"}
    assert "citadel.spans.kept" in {metric["name"] for metric in told["received"]["metrics"]}
    assert {span["name"] for span in told["received"]["traces"]} >= {
        "citadel.wire.v1.Exporters/Apply"
    }
