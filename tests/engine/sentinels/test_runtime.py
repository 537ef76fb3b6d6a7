"""Sentinels that run: turns, failures, quarantine and the way out, bounded mailboxes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import msgpack
import pytest

from citadel.behaviour import Behaviour, Emit, Finish, RunCommand, Schedule, Signal, Spawn, Stop
from citadel.errors import InvalidRequest, NotFound, QueueFull, WorkerLost
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import CommandResult
from engine.sentinels import runtime as runtime_module
from engine.sentinels import sentinel as sentinel_module
from engine.sentinels.directives import Performer
from engine.sentinels.runtime import SentinelRuntime
from engine.sentinels.supervisor import RestartPolicy
from engine.sentinels.unit import Unit
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

PATIENCE = 20.0


@dataclass(frozen=True)
class Seen:
    signals: tuple[str, ...] = ()


class Scribe(Behaviour[Seen]):
    """Notes what it is sent, and does what it is told."""

    name = "scribe"

    def initial(self, options):
        if options.get("refuse"):
            raise ValueError("refused on purpose")
        return Seen()

    def handle(self, state, signal, context):  # noqa: PLR0911 - one line a signal
        state = replace(state, signals=(*state.signals, signal.type))
        match signal.type:
            case "raise":
                raise RuntimeError("this behaviour is broken")
            case "wrong":
                return state
            case "strange":
                return state, ["no directive"]
            case "run":
                return state, [RunCommand(pool="p", tool=signal.data["tool"], tag="t")]
            case "echo":
                return state, [Emit(to=signal.source, type="echoed", data=signal.data)]
            case "forever":
                return state, [Emit(to=context.sentinel, type="forever")]
            case "later":
                return state, [Schedule(seconds=0.0, type="now")]
            case "spawn":
                return state, [Spawn(id="child", behaviour="scribe")]
            case "stop":
                return state, [Stop()]
            case "finish":
                return state, [Finish(result={"good": True})]
        return state, []


class FakePools:
    """What the runtime needs of pools; the pools themselves have tests of their own."""

    async def submit(self, command):
        if command.tool == "die":
            raise WorkerLost("the worker died", subject="w")
        return CommandResult(id=command.id, value=msgpack.packb("value"))


class Bench:
    def __init__(self, runtime, hub, recorder) -> None:
        self.runtime, self.hub, self.recorder = runtime, hub, recorder

    def state(self, name: str) -> str:
        return self.runtime.inspect(name).status.state

    def seen(self, name: str) -> list[str]:
        import json

        return json.loads(self.runtime.inspect(name).state_json)["signals"]

    def send(self, name: str, type_: str, **data: Any) -> int:
        return self.runtime.send(name, Signal(type=type_, data=data, source="test"))

    def events(self, name: str) -> list[dict[str, Any]]:
        _, (batch,) = self.hub.snapshot(["event"])
        return [row for row in rows(unpack(batch)) if row["name"] == name]

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            pytest.fail(f"waited in vain: {what}; {self.runtime.list()}")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    hub = LiveHub("test")
    recorder = Recorder(publish=hub.publish)
    performer = Performer(recorder, FakePools(), None, None)  # type: ignore[arg-type]
    policy = RestartPolicy(max_restarts=2, within_seconds=60.0, first_backoff=0.001, jitter=0.0)
    runtime = SentinelRuntime({"scribe": Scribe}, recorder, hub, performer, policy)
    running = asyncio.get_running_loop().create_task(runtime.run())
    await runtime.started()
    yield Bench(runtime, hub, recorder)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_handles_in_order_and_idles(bench):
    bench.runtime.spawn("scribe", sentinel_id="s")
    for number in range(100):
        bench.send("s", f"n{number}")
    await bench.until("all handled", lambda: len(bench.seen("s")) == 100)
    assert bench.seen("s") == [f"n{number}" for number in range(100)]
    await bench.until("idle", lambda: bench.state("s") == "idle")


async def test_what_a_command_brought_comes_back_as_a_signal(bench):
    bench.runtime.spawn("scribe", sentinel_id="s")
    bench.send("s", "run", tool="live")
    bench.send("s", "run", tool="die")
    await bench.until("answers", lambda: len(bench.seen("s")) == 4)
    assert sorted(bench.seen("s")[2:]) == ["command.done", "command.failed"]
    assert bench.state("s") in ("idle", "working", "waiting")


async def test_a_unit_ends_when_all_that_it_caused_has_ended(bench):
    bench.runtime.spawn("scribe", sentinel_id="s")
    span = bench.recorder.span("unit", root=True)
    ended = asyncio.Event()
    unit = Unit(span, "u", lambda _: ended.set()).hold()
    bench.runtime.send("s", Signal(type="run", data={"tool": "live"}), unit)
    assert not span.end_ns
    unit.release()
    await asyncio.wait_for(ended.wait(), PATIENCE)
    assert span.end_ns
    assert bench.seen("s") == ["run", "command.done"]


@pytest.mark.parametrize(
    ("bad", "says"), [("raise", "broken"), ("wrong", "not"), ("strange", "no directive")]
)
async def test_a_bad_turn_restarts_with_the_last_good_state(bench, bad, says):
    bench.runtime.spawn("scribe", sentinel_id="s")
    bench.send("s", "before")
    bench.send("s", bad)
    bench.send("s", "after")
    await bench.until("the restart", lambda: bench.seen("s") == ["before", "after"])
    assert bench.runtime.inspect("s").status.restarts == 1
    assert says in bench.events("sentinel.failed")[0]["message"]
    states = [step for step in bench.runtime.inspect("s").history if '"restarting"' in step]
    assert states


@pytest.mark.emits("sentinel.failed", "sentinel.restarting", "sentinel.quarantined")
@pytest.mark.emits("citadel.sentinel.restarts")
async def test_quarantine_and_the_way_out(bench):
    bench.runtime.spawn("scribe", sentinel_id="s")
    for _ in range(3):
        bench.send("s", "raise")
    await bench.until("quarantine", lambda: bench.state("s") == "quarantined")
    assert "failed 3 times" in bench.runtime.inspect("s").status.cause
    with pytest.raises(NotFound, match="quarantined"):
        bench.send("s", "more")
    bench.runtime.restart("s")
    bench.send("s", "again")
    await bench.until("work", lambda: "again" in bench.seen("s"))


async def test_a_sentinel_that_signals_itself_forever_holds_nobody_up(bench):
    bench.runtime.spawn("scribe", sentinel_id="loop")
    bench.runtime.spawn("scribe", sentinel_id="other")
    bench.send("loop", "forever")
    bench.send("other", "hello")
    await bench.until("the other one", lambda: bench.seen("other") == ["hello"])
    assert bench.runtime.inspect("loop").status.mailbox <= 1
    bench.runtime.stop("loop")
    assert bench.state("loop") == "stopped"


async def test_a_full_mailbox_refuses(bench, monkeypatch):
    monkeypatch.setattr(sentinel_module, "MAILBOX_LIMIT", 3)
    bench.runtime.spawn("scribe", sentinel_id="s")
    for _ in range(3):
        bench.send("s", "x")
    with pytest.raises(QueueFull, match="3 signals wait"):
        bench.send("s", "x")


async def test_spawn_stop_finish_and_timers(bench):
    told: list[Signal] = []
    bench.runtime.add_sink("m", lambda signal, unit: told.append(signal))
    bench.runtime.spawn("scribe", sentinel_id="s", mission_id="m")
    bench.send("s", "later")
    await bench.until("the timer", lambda: "now" in bench.seen("s"))
    bench.send("s", "spawn")
    await bench.until("the child", lambda: len(bench.runtime.list()) == 2)
    bench.send("child", "stop")
    await bench.until("its end", lambda: bench.state("child") == "stopped")
    bench.send("s", "finish")
    await bench.until("the result", lambda: bool(told))
    assert (told[0].type, dict(told[0].data)) == ("sentinel.finished", {"good": True})


async def test_bad_requests_start_nothing(bench):
    with pytest.raises(NotFound, match="'nobody'") as caught:
        bench.runtime.spawn("nobody")
    assert "scribe" in caught.value.remedy
    with pytest.raises(InvalidRequest, match="refused on purpose"):
        bench.runtime.spawn("scribe", options={"refuse": True})
    bench.runtime.spawn("scribe", sentinel_id="s")
    with pytest.raises(InvalidRequest, match="already"):
        bench.runtime.spawn("scribe", sentinel_id="s")
    with pytest.raises(NotFound, match="no Sentinel 'x'"):
        bench.send("x", "hello")
    assert len(bench.runtime.list()) == 1


@pytest.mark.emits("sentinel.slow")
async def test_a_turn_that_holds_the_loop_for_too_long_is_told(bench, monkeypatch):
    monkeypatch.setattr(runtime_module, "SLOW_SECONDS", -1.0)  # any turn is too long
    bench.runtime.spawn("scribe", sentinel_id="s")
    bench.send("s", "hello")
    await bench.until("the news", lambda: bool(bench.events("sentinel.slow")))
    assert "handling hello held the engine" in bench.events("sentinel.slow")[0]["message"]


@pytest.mark.emits("signal.dropped", "citadel.signal.dropped")
async def test_signals_that_wait_when_a_sentinel_stops_are_counted_and_told(bench):
    bench.runtime.spawn("scribe", sentinel_id="s")
    for _ in range(3):
        bench.send("s", "x")
    bench.runtime.stop("s")  # before its first turn
    assert [event["message"] for event in bench.events("signal.dropped")] == [
        "3 signals were still waiting"
    ]
