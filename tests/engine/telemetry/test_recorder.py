from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.trace import SpanContext
from citadel.wire.columns import pack, unpack
from citadel.wire.messages import KeepRule, SamplingRule
from citadel.wire.topics import TOPICS
from engine.telemetry import measures
from engine.telemetry import recorder as module
from engine.telemetry.encode import Row
from engine.telemetry.hub import LiveHub
from engine.telemetry.measures import OTHER
from engine.telemetry.policy import Policy, Root
from engine.telemetry.preview import past_of, preview
from engine.telemetry.recorder import Recorder
from engine.telemetry.sampling import Sampler

ALL = [SamplingRule(id="all", rate=1.0)]
NONE = [SamplingRule(id="none", rate=0.0)]
COLUMNS = list(TOPICS["span"].columns)


class Kept(list[Row]):
    """A sink that takes `room` rows."""

    room = 10**9

    def write(self, rows: Sequence[Row]) -> int:
        taken = rows[: max(0, self.room - len(self))]
        self.extend(taken)
        return len(rows) - len(taken)

    def table(self) -> list[dict[str, Any]]:
        return [dict(zip(COLUMNS, row, strict=True)) for row in self]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def recorder(kept: Kept, clock: Any) -> Recorder:
    recorder = Recorder(Sampler(ALL), clock=clock, ids=random.Random(1))
    recorder.sinks.append(kept.write)
    return recorder


def balanced(recorder: Recorder) -> bool:
    ledger = recorder.ledger()
    assert ledger.residual == 0
    return ledger.started == ledger.kept + sum(ledger.dropped.values()) + ledger.in_flight


def rules_only(rules: Iterable[SamplingRule]) -> Policy:
    return Policy(rules=tuple(rules), keep=())


ERRORS = Policy(
    rules=(SamplingRule(id="half", rate=0.5),), keep=(KeepRule(id="errors", when="error"),)
)


def foreign(trace_id: int = 7 << 64 | 8, **changes: Any) -> Row:
    values: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {
        "trace_hi": trace_id >> 64,
        "trace_lo": trace_id % 2**64,
        "span_id": 9,
        "parent_id": 0,
        "start_ns": 10,
        "end_ns": 20,
        "kind": 1,
        "status": 0,
        "name": "run",
        "source": "worker",
        "attributes": "{}",
        "events": "[]",
        "links": "[]",
        "threshold": 0,
    }
    return tuple((values | changes).values())


def test_a_child_is_below_the_current_span_and_inherits_from_it(
    recorder: Recorder, kept: Kept
) -> None:
    purpose = {"mission": "m", "mission_class": "critical", "sentinel": "s1"}
    with recorder.span("mission", root=True, pool="p", **purpose) as outer:
        assert recorder.current() is outer
        with recorder.span("step") as inner:
            assert recorder.current() is inner
        assert recorder.current() is outer
    assert recorder.current() is None
    recorder.drain()
    step, mission = kept.table()
    assert (step["trace_hi"], step["trace_lo"]) == (mission["trace_hi"], mission["trace_lo"])
    assert step["parent_id"] == mission["span_id"] != 0
    assert mission["parent_id"] == 0
    assert {key: step[key] for key in purpose} == purpose
    assert step["pool"] == "", "a pool is a span's own"


def test_root_starts_a_new_trace_and_links_lead_back(recorder: Recorder, kept: Kept) -> None:
    with (
        recorder.span("mission") as mission,
        recorder.span("file", root=True, links=[mission.context]),
    ):
        pass
    recorder.drain()
    file, outer = kept.table()
    assert file["parent_id"] == 0
    assert file["trace_lo"] != outer["trace_lo"]
    link = {"trace_id": mission.context.trace_hex, "span_id": f"{mission.span_id:016x}"}
    assert json.loads(file["links"]) == [{**link, "attributes": {}}]


def test_a_remote_parent_continues_its_trace(recorder: Recorder, kept: Kept) -> None:
    with recorder.span("api", parent=SpanContext(5 << 64 | 6, 7)):
        pass
    recorder.drain()
    assert kept[0][:2] == (5, 6)
    assert kept[0][3] == 7


def test_the_policy_decides_not_the_remote_parent(recorder: Recorder) -> None:
    recorder.sampler.put(rules_only(NONE))
    assert not recorder.span("api", parent=SpanContext(5, 7, sampled=True)).context.sampled
    recorder.sampler.put(rules_only(ALL))
    assert not recorder.span("api", parent=SpanContext(6, 7, sampled=False)).context.sampled


def test_an_exception_ends_the_span_with_an_error(recorder: Recorder, kept: Kept) -> None:
    with pytest.raises(KeyError), recorder.span("fails"):
        raise KeyError("token=hush")
    recorder.drain()
    (row,) = kept.table()
    (event,) = json.loads(row["events"])
    assert row["status"] == 2
    assert event["name"] == "exception"
    assert event["attributes"]["exception.type"] == "KeyError"
    assert "hush" not in row["events"]
    assert preview(past_of(recorder.sampler, {}, 0, 1), rules_only(NONE)).flagged_lost == 1


def test_a_span_that_has_ended_stays_as_it_was(recorder: Recorder, kept: Kept, clock: Any) -> None:
    span = recorder.span("once")
    clock.go(1)
    span.end()
    clock.go(1)
    span.set("late", 1)
    span.event("late")
    span.error("late")
    span.end()
    recorder.drain()
    (row,) = kept.table()
    assert row["end_ns"] - row["start_ns"] == 1_000_000_000
    assert (row["attributes"], row["events"], row["status"]) == ("{}", "[]", 0)


def test_time_that_jumps_back_makes_no_negative_span(
    recorder: Recorder, kept: Kept, clock: Any
) -> None:
    span = recorder.span("jump")
    clock.go(-100)
    span.end()
    recorder.drain()
    assert kept.table()[0]["end_ns"] == span.start_ns


def test_events_beyond_the_limit_are_counted(recorder: Recorder, kept: Kept) -> None:
    with recorder.span("chatty") as span:
        for number in range(200):
            span.event("line", n=number)
    recorder.drain()
    (row,) = kept.table()
    assert len(json.loads(row["events"])) == 128
    assert json.loads(row["attributes"])["citadel.dropped_events"] == 72


async def test_each_task_has_a_current_span_of_its_own(recorder: Recorder, kept: Kept) -> None:
    met = asyncio.Barrier(2)

    async def work(name: str) -> None:
        with recorder.span(name, root=True):
            await met.wait()
            with recorder.span(f"{name}.inner"):
                await met.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("a"))
        tasks.create_task(work("b"))
    recorder.drain()
    spans = {row["name"]: row for row in kept.table()}
    for name in "ab":
        assert spans[f"{name}.inner"]["parent_id"] == spans[name]["span_id"]


async def test_a_span_may_end_in_another_context(recorder: Recorder) -> None:
    async def numbers() -> Any:
        with recorder.span("generator"):
            yield 1
            yield 2

    stream = numbers()
    await anext(stream)
    await asyncio.create_task(stream.aclose())  # noqa: TID251 - another context is the point
    assert recorder.ledger().in_flight == 1


steps = st.lists(
    st.sampled_from(["root", "child", "remote", "end", "fail", "worker", "bad", "drain", "policy"]),
    max_size=60,
)


@given(steps, st.randoms(use_true_random=False), st.integers(0, 6), st.integers(0, 12))
def test_the_ledger_balances_at_every_step(
    script: list[str], chance: random.Random, queue_limit: int, room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUEUE_LIMIT", queue_limit)
        sink = Kept()
        sink.room = room
        recorder = Recorder(Sampler(ALL), ids=random.Random(chance.random()))
        recorder.sinks.append(sink.write)
        running: list[Any] = []
        started = 0
        for step in script:
            match step:
                case "root":
                    running.append(recorder.span("root", root=True))
                case "child":
                    running.append(recorder.span("c", parent=running[-1] if running else None))
                case "remote":
                    running.append(
                        recorder.span("r", parent=SpanContext(chance.getrandbits(128), 1))
                    )
                case "end" | "fail" if running:
                    span = running.pop(chance.randrange(len(running)))
                    if step == "fail":
                        span.error("broken")
                    span.end()
                case "worker":
                    recorder.ingest_row(chance.getrandbits(128), Root(), foreign())
                case "bad":
                    recorder.ingest_row(1, Root(), foreign(span_id=0))
                case "drain":
                    recorder.drain()
                case "policy":
                    recorder.sampler.put(chance.choice([rules_only(ALL), rules_only(NONE), ERRORS]))
            started += step in {"root", "child", "remote", "worker", "bad"}
            assert recorder.ledger().started == started
            assert balanced(recorder)
        for span in running:
            span.end()
        recorder.close()
    ledger = recorder.ledger()
    assert balanced(recorder)
    assert ledger.in_flight == 0, "what has ended and is drained is kept or dropped"
    assert ledger.kept == len(sink)


def test_a_full_queue_drops_by_name(
    recorder: Recorder, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 10)
    for _ in range(25):
        recorder.span("s", root=True).end()
    ledger = recorder.ledger()
    assert (ledger.started, ledger.in_flight, ledger.dropped["queue_full"]) == (25, 10, 15)
    recorder.drain()
    assert len(kept) == recorder.ledger().kept == 10


def test_sampled_out_spans_reach_nobody_but_the_ledger(recorder: Recorder, kept: Kept) -> None:
    recorder.sampler.put(rules_only(NONE))
    with recorder.span("root", root=True) as root, recorder.span("child") as child:
        child.set("a", 1)
    recorder.drain()
    assert not kept
    assert root.context.traceparent().endswith("-02")
    assert recorder.ledger().dropped["rule"] == 2
    assert recorder.ledger().in_flight == 0


def test_clients_spans_are_taken_by_the_same_policy(recorder: Recorder, kept: Kept) -> None:
    recorder.sampler.put(
        rules_only(
            [SamplingRule(id="m", mission="secret*", rate=0.0), SamplingRule(id="rest", rate=1.0)]
        )
    )
    rows = [
        foreign(1 << 64 | 1, mission="secret plan"),
        foreign(2 << 64 | 2, mission="survey", source="client", attributes='{"token": "hush"}'),
        foreign(3 << 64 | 3, status=2, kind=77, source="martian"),
        foreign(0),
        foreign(4, end_ns=5),
    ]
    assert recorder.ingest(unpack(pack("span", rows))) == 2
    recorder.drain()
    survey, martian = kept.table()
    assert json.loads(survey["attributes"]) == {"token": "[REDACTED]"}
    assert (martian["source"], martian["kind"]) == ("user", 1)
    ledger = recorder.ledger()
    assert (ledger.started, ledger.kept) == (5, 2)
    assert (ledger.dropped["invalid"], ledger.dropped["rule"]) == (2, 1)


def test_a_workers_span_is_kept_with_its_trace(recorder: Recorder) -> None:
    span = recorder.span("command", root=True)
    recorder.sampler.put(rules_only(NONE))
    trace = span.context.trace_id
    assert recorder.ingest_row(trace, Root(pool="p"), foreign(trace))


@pytest.mark.parametrize(
    "row",
    [
        (),
        ("x",) * 21,
        foreign(span_id=-1),
        foreign(span_id=2**64),
        foreign(start_ns=0),
        foreign(end_ns=2**63),
        foreign(name=None)[:-1],
        foreign(mission=None),
        foreign(events=7),
    ],
)
def test_rows_that_make_no_sense_are_invalid(recorder: Recorder, row: Row) -> None:
    assert not recorder.ingest_row(1, Root(), row)
    assert recorder.ledger().dropped["invalid"] == 1


def test_watchers_see_long_spans_before_they_end(clock: Any) -> None:
    hub = LiveHub("i")
    recorder = Recorder(Sampler(ALL), publish=hub.publish, clock=clock)
    long, short = recorder.span("long", root=True), recorder.span("short", root=True)
    clock.go(0.01)
    short.end()
    recorder.drain()
    assert [row[8] for row in hub._logs["span"]] == ["short"]
    clock.go(0.05)
    recorder.drain()
    recorder.drain()
    assert [(row[8], row[5]) for row in hub._logs["span"]][1:] == [("long", 0)], "once"
    assert [row[8] for row in recorder.open_rows()] == ["long"]
    long.end()
    recorder.drain()
    assert hub._logs["span"][-1][5] == long.end_ns
    assert recorder.open_rows() == []


def test_announcements_are_bounded(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANNOUNCED", 3)
    hub = LiveHub("i")
    recorder = Recorder(Sampler(ALL), publish=hub.publish, clock=clock)
    spans = [recorder.span("s", root=True) for _ in range(10)]
    clock.go(1)
    recorder.drain()
    assert len(hub._logs["span"]) == 3
    for span in spans:
        span.end()
    assert recorder.drain() == 10


def test_events_say_where_and_hide_secrets(clock: Any) -> None:
    hub = LiveHub("i")
    recorder = Recorder(Sampler(ALL), publish=hub.publish, clock=clock)
    with recorder.span("s", root=True, mission="m") as span:
        told = {"command": "c1", "bytes": 1, "holders": "api_key=hush"}
        recorder.event(
            "slab.leaked", subject="w1", severity="warning", message="password=hush", **told
        )
    (row,) = hub._logs["event"]
    assert row[:4] == (clock.now, "warning", "slab.leaked", "w1")
    assert "hush" not in repr(row)
    assert row[5] << 64 | row[6] == span.trace_id
    assert (row[7], json.loads(row[8])["bytes"]) == ("m", 1)


def test_counts_are_exact_whatever_is_sampled(recorder: Recorder) -> None:
    recorder.sampler.put(rules_only(NONE))
    for number in range(100):
        with recorder.span("s", root=True):
            recorder.count("citadel.commands", pool="p", outcome="done")
            recorder.count("citadel.commands", outcome="done", pool="p")
            recorder.observe("citadel.command.duration", number / 1000, "p")
    assert list(recorder.counters.values()) == [200.0]
    assert recorder.durations["citadel.command.duration", "p"].total == 100


def test_label_sets_are_bounded(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MAX_SERIES", 5)
    for number in range(20):
        recorder.count("citadel.worker.lost", pool=f"p{number}")
        recorder.observe("citadel.command.duration", 0.1, f"p{number}")
    assert len(recorder.counters) == len(recorder.durations) == 6
    assert recorder.counters["citadel.worker.lost", (("pool", OTHER),)] == 15
    assert recorder.durations["citadel.command.duration", OTHER].total == 15


def test_names_outside_the_catalogue_are_faults(recorder: Recorder) -> None:
    for call in (
        lambda: recorder.event("made.up"),
        lambda: recorder.count("made.up"),
        lambda: recorder.count("citadel.worker.lost", nonsense="x"),
        lambda: recorder.observe("made.up", 1.0),
    ):
        with pytest.raises(AssertionError):
            call()


@pytest.mark.emits("citadel.events.sampled_out")
def test_events_that_a_rule_drops_are_counted(clock: Any) -> None:
    seen: list[Row] = []
    sampler = Sampler([SamplingRule(id="quiet", event="worker.*", rate=0.0)])
    recorder = Recorder(sampler, publish=lambda _, row: seen.append(row), clock=clock)
    recorder.event("worker.started", subject="w")
    recorder.event("pool.resized", subject="p")
    assert [row[2] for row in seen] == ["pool.resized"]
    assert recorder.counters["citadel.events.sampled_out", ()] == 1


@pytest.mark.parametrize(
    "told", [{"severity": "error"}, {"colour": "blue"}], ids=["severity", "attribute"]
)
def test_events_are_as_the_catalogue_says(recorder: Recorder, told: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="as a"):
        recorder.event("worker.started", **told)
