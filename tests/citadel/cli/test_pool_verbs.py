"""`citadel pool` on a real engine: streams, options, states, bounds, workers, sessions, poison."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from citadel.cli.pool_text import show_poison, show_pool, show_sessions, show_worker
from citadel.wire.messages import (
    MemoryPoint,
    PoisonEntry,
    PoolStatus,
    SessionStatus,
    StateChange,
    WorkerDetail,
    WorkerStatus,
)


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_items_are_printed_as_they_come(cli: Any) -> None:
    said = cli("pool", "call", "shed", "count", "up_to=3", "--stream")
    assert (said.code, said.out) == (0, "0\n1\n2\n")
    assert "by shed-" in said.err
    said = cli("pool", "call", "shed", "count", "up_to=2", "--stream", "--json")
    *items, end = lines(said.out)
    assert items == [{"item": 0}, {"item": 1}]
    assert end["value"] is None
    assert end["worker"].startswith("shed-")


def test_items_come_from_a_file_or_standard_input(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "numbers.jsonl"
    file.write_text("1\n2\n\n39\n", encoding="utf-8")
    assert cli("pool", "call", "shed", "total", "--items", str(file)).out == "42\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("5\n6\n"))
    said = cli("pool", "call", "shed", "total", "--items", "-", "--json")
    assert lines(said.out)[-1]["value"] == 11
    file.write_text("1\nnonsense\n", encoding="utf-8")
    said = cli("pool", "call", "shed", "total", "--items", str(file))
    assert said.code == 1
    assert "line 2 of the items is no JSON" in said.err
    said = cli("pool", "call", "shed", "total", "--items", str(tmp_path / "missing"))
    assert said.code == 1
    assert "cannot be read" in said.err


def test_options_go_with_a_call(cli: Any) -> None:
    told = ("--session", "cli", "--affinity", "strict_queue", "--priority", "urgent")
    said = cli("pool", "call", "shed", "remember", "name=a", "value=1", *told, "--json")
    assert said.json["value"] == {"a": 1}
    assert "rested" in cli("pool", "call", "shed", "doze", "seconds=0.01", "--deadline", "30").out
    assert cli("pool", "call", "shed", "doze", "seconds=60", "--deadline", "0.1").code == 1
    assert cli("pool", "call", "shed", "add", "a=1", "--priority", "soon").code == 2
    (session,) = cli("pool", "sessions", "shed", "--json").json
    assert (session["key"], session["variables"]) == ("cli", {"a": 1})
    assert "cli" in cli("pool", "sessions").out
    said = cli("pool", "end-session", "shed", "cli", "--reason", "enough")
    assert "session cli of shed ended" in said.err
    assert cli("pool", "sessions", "shed").err == "there are no open sessions\n"
    assert cli("pool", "end-session", "shed", "cli").code == 1


def test_states_are_set(cli: Any) -> None:
    assert cli("pool", "pause", "shed", "--json").json["state"] == "paused"
    assert cli("pool", "drain", "shed", "--json").json["state"] == "draining"
    said = cli("pool", "call", "shed", "add", "a=1")
    assert (said.code, "draining" in said.err) == (1, True)
    assert "serving" in cli("pool", "resume", "shed").out
    assert cli("pool", "call", "shed", "add", "a=1").out == "1\n"


def test_a_pool_is_told_to_size_itself(cli: Any) -> None:
    said = cli("pool", "resize", "shed", "1..2", "--json").json
    assert (said["min_size"], said["max_size"]) == (1, 2)
    assert "between 1 and 2" in cli("pool", "list").out
    assert cli("pool", "resize", "shed", "1", "--json").json["max_size"] == 0
    for wrong in ("2..1", "1..", "-1", "1...2"):
        assert cli("pool", "resize", "shed", "--", wrong).code == 2


def test_a_worker_is_looked_into(cli: Any) -> None:
    (shed,) = [each for each in cli("pool", "list", "--json").json if each["name"] == "shed"]
    worker = next(each["id"] for each in shed["workers"] if each["state"] == "ready")
    said = cli("pool", "inspect", "shed", worker)
    assert said.code == 0
    assert "starting" in said.out
    found = cli("pool", "inspect", "shed", worker, "--json").json
    assert found["status"]["id"] == worker
    assert found["history"][0]["state"] == "starting"
    assert cli("pool", "inspect", "shed", "nobody").code == 1


def test_poison_is_listed_and_let_go(cli: Any) -> None:
    for _ in range(3):
        assert cli("pool", "call", "shed", "leave").code == 1
    said = cli("pool", "call", "shed", "leave")
    assert "citadel pool poison" in said.err
    (entry,) = [each for each in cli("pool", "poison", "shed", "--json").json if each["kills"] > 2]
    assert entry["tool"] == "leave"
    assert "quarantined" in cli("pool", "poison").out
    assert cli("pool", "poison", "--release", entry["fingerprint"]).code == 2
    said = cli("pool", "poison", "shed", "--release", entry["fingerprint"])
    assert f"leave {entry['fingerprint']} may run again on shed" in said.err
    assert cli("pool", "poison", "shed", "--release", "0" * 16).code == 1


def test_tools_tell_their_streams(cli: Any) -> None:
    told = [line.strip() for line in cli("pool", "tools", "shed").out.splitlines()]
    (count,) = [line for line in told if line.startswith("count")]
    (total,) = [line for line in told if line.startswith("total")]
    assert " out " in count
    assert " in " in total


def test_what_is_not_usual_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    worker = WorkerStatus(
        id="w-1", state="busy", tool="fit", running=3, node="n7", taint="old", missed_heartbeats=2
    )
    show_pool(
        PoolStatus(
            name="p",
            backend="ray",
            profile="thread",
            size=1,
            workers=(worker,),
            queued=3,
            queued_urgent=1,
            queued_normal=2,
            queue_policy="shed_oldest",
            breaker="open",
            sessions=4,
            poisoned=5,
            queue_wait_seconds=0.25,
            slab_bytes=10**6,
            slab_used_bytes=10**5,
            leases=2,
        )
    )
    said = capsys.readouterr().out
    for words in (
        "ray, thread",
        "1 urgent, 2 normal, 0 later",
        "when full: shed_oldest",
        "open",
        "250 ms",
        "100 kB of 1 MB shared, 2 leases",
        "fit and 2 more",
        "n7",
        "old, 2 heartbeats missed",
    ):
        assert words in said


def test_a_life_a_curve_a_session_and_poison_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    second = 10**9
    show_worker(
        WorkerDetail(
            status=WorkerStatus(id="w-1", state="lost"),
            ended="signal 9 (SIGKILL)",
            history=(
                StateChange(state="starting", since_unix_nanos=second),
                StateChange(state="lost", since_unix_nanos=3 * second, cause="it was killed"),
            ),
            memory=tuple(
                MemoryPoint(time_unix_nanos=n * second, rss_bytes=n * 10**6) for n in range(1, 101)
            ),
            output=("its last words",),
        )
    )
    said = capsys.readouterr().out
    assert "SIGKILL" in said
    assert "it was killed" in said
    assert "2 s" in said
    assert "its last words" in said
    assert said.count(" MB") <= 21
    show_sessions([SessionStatus(key="k", pool="p", variables_json='{"a":"' + "x" * 99 + '"}')], "")
    assert "…" in capsys.readouterr().out
    show_poison([PoisonEntry(fingerprint="ff", tool="t", kills=1, arguments=b"123")], "none")
    assert "counted" in capsys.readouterr().out
