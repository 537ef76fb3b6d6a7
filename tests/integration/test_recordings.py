"""Recordings: made by a real engine, opened as if it were live; incidents by themselves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from citadel.client.client import Client, connect
from citadel.client.local import LocalEngine
from citadel.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from citadel.testing import EngineUnderTest, recorded
from citadel.wire.columns import rows

Until = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture
async def replayed() -> AsyncIterator[Callable[[Path], Awaitable[Client]]]:
    """Opens recordings as engines."""
    engines: list[LocalEngine] = []
    clients: list[Client] = []

    async def open_(path: Path) -> Client:
        engine = await LocalEngine(["--recording", str(path)]).start()
        engines.append(engine)
        clients.append(Client(engine.address, token=engine.token))
        return clients[-1]

    yield open_
    for client in clients:
        await client.close()
    for engine in engines:
        await engine.stop()


async def test_a_recording_opens_as_if_it_were_live(
    client: Client, replayed: Any, tmp_path: Path
) -> None:
    status = await client.recordings.start("whole", reason="a test")
    assert status.state == "recording"
    with pytest.raises(Conflict, match="whole"):
        await client.recordings.start("whole")
    with client.trace("job") as span:
        assert await client.pools.call("workshop", "add", a=1, b=2) == 3
    live = await recorded(client, span, source="client", name="job")
    await client.traces.ledger()
    status = await client.recordings.stop("whole")
    assert (status.state, status.dropped, status.error) == ("done", 0, "")
    path = tmp_path / "whole.citadel"
    assert await client.recordings.fetch("whole", path) == status.bytes
    policy = await client.sampling.get()

    there = await replayed(path)
    info = await there.info()
    assert (info.recording, info.role) == ("whole", "admin")
    assert info.recording_since_unix_nanos < info.recording_until_unix_nanos
    again = await recorded(there, span)
    assert {each["span_id"]: each for each in again} == {each["span_id"]: each for each in live}
    assert (await there.sampling.get()).rules == policy.rules
    ledger = await there.traces.ledger()
    assert ledger.kept >= len(live)
    pools: set[str] = set()
    names: set[str] = set()
    updates = there.watch(["pool", "span", "event"])
    async for update in updates:
        for topic, table in update.tables.items():
            (pools if topic == "pool" else names).update(row["name"] for row in rows(table))
        if {each["name"] for each in live} <= names:
            break
    await updates.aclose()
    assert "workshop" in pools
    entries, _ = await there.audit()
    assert "recording.start" in {row["action"] for row in rows(entries)}
    with pytest.raises(Forbidden, match="this is the recording whole"):
        await there.pools.call("workshop", "add", a=1, b=2)
    with pytest.raises(Forbidden, match="this is the recording whole"):
        await there.sampling.apply(policy.rules)

    await client.recordings.remove("whole")
    with pytest.raises(NotFound):
        await client.recordings.stop("whole")


async def test_it_ends_by_itself_and_bad_ones_are_refused(client: Client, until: Until) -> None:
    with pytest.raises(InvalidRequest, match="no name"):
        await client.recordings.start("../escape")
    with pytest.raises(InvalidRequest, match="seconds"):
        await client.recordings.start("x", seconds=-1)
    await client.recordings.start("brief", seconds=0.1, before_seconds=30)

    async def ended() -> bool:
        found = {each.name: each.state for each in await client.recordings.list()}
        return found["brief"] == "done"

    await until(ended)
    await client.recordings.remove("brief")


@pytest.mark.emits("incident.recorded")
async def test_a_crash_is_kept_as_an_incident(
    headless: Any, replayed: Any, until: Until, saw: Any, tmp_path: Path
) -> None:
    # An engine of its own: in a shared one the trigger may have fired a moment ago.
    engine = await headless()
    async with connect(engine.address) as client:
        before = await client.recordings.triggers()
        await client.recordings.set_triggers(
            before.triggers, before_seconds=30, after_seconds=0.2, revision=before.revision
        )
        with client.trace("before the crash") as span:
            await client.pools.set_state("python", "serving")
        await recorded(client, span, source="client")

        async def ready() -> str:
            (pool,) = await client.pools.list()
            return next((each.id for each in pool.workers if each.state == "ready"), "")

        await client.pools.kill_worker("python", await until(ready))

        async def kept() -> bool:
            found = await client.recordings.list()
            return bool(found) and found[-1].state == "done"

        await until(kept)
        (incident,) = await client.recordings.list()
        assert (incident.kind, incident.trigger) == ("incident", "crash")
        assert "was lost" in incident.cause
        updates = client.watch(["event"])
        async for update in updates:
            if any(
                row["name"] == "incident.recorded" for row in rows(update.tables.get("event", {}))
            ):
                saw("incident.recorded")
                break
        await updates.aclose()
        path = tmp_path / "incident.citadel"
        await client.recordings.fetch(incident.name, path)
    there = await replayed(path)
    assert await recorded(there, span)


async def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    path = tmp_path / "not.citadel"
    path.write_text("no recording")
    with pytest.raises(Unavailable, match="cannot be opened"):
        await LocalEngine(["--recording", str(path)]).start()


async def test_the_command_line_reads_one(
    engine: EngineUnderTest, client: Client, tmp_path: Path
) -> None:
    await client.recordings.start("shell")
    with client.trace("in the shell's recording") as span:
        await client.pools.call("workshop", "add", a=1, b=2)
    await recorded(client, span, source="client")
    await client.recordings.stop("shell")
    path = tmp_path / "shell.citadel"
    await client.recordings.fetch("shell", path)
    process = await asyncio.create_subprocess_exec(
        *("python", "-m", "citadel.cli", "trace", "search", "--recording", str(path), "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert span.context.trace_hex in out.decode()  # type: ignore[union-attr]
    await client.recordings.remove("shell")
