from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from citadel.wire.messages import KeepRule, SamplingRule
from engine.telemetry import decisions as module
from engine.telemetry.decisions import DecisionLog, Logged
from engine.telemetry.policy import Policy, threshold
from engine.telemetry.recorder import Recorder
from engine.telemetry.why import Evidence, explain

HALF = Policy(
    rules=(SamplingRule(id="half", rate=0.5),), keep=(KeepRule(id="errors", when="error"),)
)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[DecisionLog]:
    made = DecisionLog(tmp_path / "decisions")
    yield made
    await asyncio.to_thread(made.close)


def explained(log: DecisionLog, trace_id: int, **known: Any) -> Any:
    evidence = Evidence(
        **{"trace_id": trace_id, "decisions": log.of(trace_id), "stored": 0, **known}
    )
    return explain(evidence)


async def test_each_trace_is_explained_by_what_decided_it(log: DecisionLog) -> None:
    recorder = Recorder(ids=random.Random(5))
    recorder.log_decisions(log.write)
    recorder.sampler.put(HALF, revision=7)
    fates: dict[int, str] = {}
    for number in range(400):
        span = recorder.span("root", root=True, mission="m")
        if number % 10 == 0:
            span.error("broken")
        span.end()
        kept = (span.trace_id & (2**56 - 1)) >= threshold(0.5)
        fates[span.trace_id] = "rule" if kept else "keep_rule" if number % 10 == 0 else "dropped"
        recorder.drain()
    await log.flush()
    for trace_id, fate in fates.items():
        found = explained(log, trace_id, stored=int(fate != "dropped"))
        assert (found.fate, found.revision) == ("dropped" if fate == "dropped" else "kept", 7)
        assert found.cause == ("rule" if fate == "dropped" else fate)
        assert found.rule_id == ("errors" if fate == "keep_rule" else "half")
        assert (found.rate, found.threshold) == (0.5, 2**55)
        assert (found.randomness >= found.threshold) == (fate == "rule")
        assert (found.mission, found.name) == ("m", "root")
        assert found.explanation
    assert set(fates.values()) == {"rule", "keep_rule", "dropped"}


async def test_commands_lead_to_their_traces(log: DecisionLog) -> None:
    recorder = Recorder()
    recorder.log_decisions(log.write)
    names = ["00000000000000ff", "nightly build", "00000000000000fg", "x" * 16]
    for number, name in enumerate(names, 1):
        recorder.commands.append((name, number << 70 | number))
    recorder.drain()
    await log.flush()
    assert [log.trace_of(name) for name in names] == [n << 70 | n for n in (1, 2, 3, 4)]
    assert log.trace_of("another") is None


async def test_losses_are_told_beside_and_when_nothing_is_left_are_the_fate(
    log: DecisionLog,
) -> None:
    recorder = Recorder()
    recorder.log_decisions(log.write)
    span = recorder.span("root", root=True)
    span.end()
    recorder.lost([span.trace_id, span.trace_id], "exporter_error", "phoenix")
    recorder.lost([span.trace_id], "store_failed")
    recorder.drain()
    await log.flush()
    found = explained(log, span.trace_id, stored=3)
    assert (found.fate, found.cause) == ("kept", "default")
    assert len(found.also) == 2
    assert "phoenix" in found.also[0]
    gone = explained(log, span.trace_id)
    assert (gone.fate, gone.cause) == ("dropped", "store_failed")


async def test_what_is_older_than_the_store_is_retention(log: DecisionLog) -> None:
    recorder = Recorder()
    recorder.log_decisions(log.write)
    span = recorder.span("root", root=True)
    span.end()
    recorder.drain()
    await log.flush()
    found = explained(log, span.trace_id, retained_since_ns=span.end_ns + 10**9)
    assert (found.fate, found.cause) == ("dropped", "retention")


async def test_a_trace_that_is_held_and_one_that_never_was(log: DecisionLog) -> None:
    held = explained(log, 5, held=2)
    assert (held.fate, held.cause) == ("undecided", "keep_rule")
    never = explained(log, 5, known_since_ns=9)
    assert (never.fate, never.cause, never.known_since_unix_nanos) == ("unknown", "never_seen", 9)


async def test_an_orderly_end_leaves_no_window_and_what_was_known(tmp_path: Path) -> None:
    recorder = Recorder()
    log = DecisionLog(tmp_path)
    recorder.log_decisions(log.write)
    span = recorder.span("root", root=True, mission="ünïcode")
    span.end()
    recorder.drain()
    await asyncio.to_thread(log.close)
    again = DecisionLog(tmp_path)
    (found,) = again.of(span.trace_id)
    assert (found.kept, found.cause, found.root[1]) == (True, "default", "ünïcode")
    assert again.windows == []
    await asyncio.to_thread(again.close)


def test_a_kill_leaves_a_window_and_all_that_was_written(tmp_path: Path) -> None:
    script = f"""
import asyncio, os, signal
from pathlib import Path
from engine.telemetry.decisions import DecisionLog
from engine.telemetry.recorder import Recorder

async def main():
    log, recorder = DecisionLog(Path({str(tmp_path)!r})), Recorder()
    recorder.log_decisions(log.write)
    span = recorder.span("root", root=True)
    span.end()
    recorder.drain()
    await log.flush()
    print(span.trace_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    trace_id = int(ended.stdout)
    again = DecisionLog(tmp_path)
    ((since, until),) = again.windows
    assert since < until
    assert again.of(trace_id)[0].kept
    unknown = explained(again, 99, windows=again.windows)
    assert (unknown.fate, unknown.cause) == ("unknown", "crash_window")
    assert unknown.windows[0].until_unix_nanos == until
    again.close()


async def test_a_full_queue_is_a_window_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHUNKS", 1)
    log = DecisionLog(tmp_path)
    recorder = Recorder()
    recorder.log_decisions(log.write)
    await asyncio.to_thread(log.close)  # nobody writes any more
    for _ in range(3):
        recorder.span("root", root=True).end()
        recorder.drain()
    assert log.lost == 2
    assert len(log.windows) == 2


async def test_kinds_that_cannot_be_read_are_unknown_and_the_others_served(tmp_path: Path) -> None:
    recorder = Recorder()
    log = DecisionLog(tmp_path)
    recorder.log_decisions(log.write)
    spans = [recorder.span(name, root=True) for name in ("a", "b")]
    for span in spans:
        span.end()
    recorder.drain()
    await asyncio.to_thread(log.close)
    path = tmp_path / "kinds.jsonl"
    first, second = path.read_text("utf-8").splitlines()
    path.write_text(f"{first[:5]}\n{second}", "utf-8")
    again = DecisionLog(tmp_path)
    causes = [again.of(span.trace_id)[0].cause for span in spans]
    assert causes == ["never_seen", "default"]
    await asyncio.to_thread(again.close)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(module.BadConfig, match="cannot be written"):
        DecisionLog(blocked)


def test_every_cause_has_a_sentence() -> None:
    for cause in ("rule", "override", "ceiling", "parent", "decided_incomplete"):
        decision = Logged(
            time_ns=1, kept=False, cause=cause, rule_id="r", threshold=2**55, revision=1, root=()
        )
        found = explain(Evidence(trace_id=1, decisions=[decision], stored=0))
        assert found.explanation
        assert found.fate == "dropped"
