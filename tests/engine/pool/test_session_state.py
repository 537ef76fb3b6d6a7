"""What tools keep for a session: variables that outlive workers, instances that do not."""

import asyncio
import json
import os
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest

from citadel.errors import CommandFailed, InvalidRequest, QuotaExceeded, SessionBusy, WorkerLost
from citadel.vocabulary import Affinity
from engine.pool.options import SessionOptions
from engine.pool.settings import PoolCommand

_ids = count(1)


@pytest.fixture(params=["process", "thread"])
def keeping(make, request):
    async def made(adapter: str = "session_adapters:Keeper", **settings: Any):
        profile = {"profile": "thread", "threads": 3} if request.param == "thread" else {}
        return Sessions(await make(adapter, **profile, **settings))

    return made


class Sessions:
    """Commands of sessions."""

    def __init__(self, bench) -> None:
        self.bench = bench

    async def call(
        self, key: str, tool: str, /, *, affinity: Affinity = "hint", **arguments: Any
    ) -> Any:
        command = PoolCommand(
            id=f"s{next(_ids)}",
            pool="p",
            tool=tool,
            arguments=msgpack.packb(arguments),
            session=key,
            affinity=affinity,
        )
        return msgpack.unpackb((await self.bench.pools.submit(command)).value)

    def start(self, key: str, tool: str, /, **arguments: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(self.call(key, tool, **arguments))

    def kill_all(self) -> None:
        for worker in self.bench.status.workers:
            os.kill(worker.pid, 9)


async def test_each_session_has_its_own_variables(keeping):
    sessions = await keeping()
    await sessions.call("one", "remember", name="a", value=1)
    await sessions.call("other", "remember", name="a", value=[2, "x"])
    await sessions.call("one", "append", name="list", value={"deep": True})
    await sessions.call("one", "append", name="list", value=2)
    assert await sessions.call("one", "recall") == {"a": 1, "list": [{"deep": True}, 2]}
    assert await sessions.call("other", "recall") == {"a": [2, "x"]}
    assert await sessions.call("one", "key") == "one"
    assert await sessions.bench.call("key") == ""


@pytest.mark.parametrize("affinity", ["hint", "strict_queue"])
async def test_variables_outlive_their_worker(keeping, affinity):
    sessions = await keeping(size=2)
    for number in range(20):
        await sessions.call(f"k{number}", "remember", name="n", value=number, affinity=affinity)
    before = sessions.bench.workers()
    sessions.kill_all()
    for number in range(20):
        found = await sessions.call(f"k{number}", "recall", affinity=affinity)
        assert found == {"n": number}
    # One that had no session may have been killed as it started: its end is heard a little later.
    await sessions.bench.until("other workers", lambda: not sessions.bench.workers() & before)


async def test_what_a_failed_command_changed_stays(keeping):
    sessions = await keeping()
    with pytest.raises(CommandFailed, match="after that"):
        await sessions.call("k", "remember_and_fail", name="a")
    assert await sessions.call("k", "recall") == {"a": "failed"}
    sessions.kill_all()
    assert await sessions.call("k", "recall") == {"a": "failed"}


async def test_what_a_dying_command_changed_is_gone(keeping):
    sessions = await keeping()
    await sessions.call("k", "remember", name="a", value=1)
    with pytest.raises(WorkerLost):
        await sessions.call("k", "remember_and_die", name="a")
    assert await sessions.call("k", "recall") == {"a": 1}


async def test_variables_that_cannot_be_kept_fail_their_command(keeping):
    sessions = await keeping(sessions=SessionOptions(variables_bytes=1_000))
    await sessions.call("k", "remember", name="a", value=1)
    with pytest.raises(InvalidRequest, match="cannot be sent"):
        await sessions.call("k", "remember_nonsense")
    with pytest.raises(QuotaExceeded, match="bytes of variables, more than 1000"):
        await sessions.call("k", "remember", name="b", value="x" * 2_000)
    assert await sessions.call("k", "recall") == {"a": 1}


async def test_what_operators_set_is_there_next_time(keeping):
    sessions = await keeping()
    await sessions.call("k", "remember", name="a", value=1)
    changes = msgpack.packb({"a": None, "b": "set"})
    sessions.bench.pools.set_variables("p", "k", changes, 0)
    assert await sessions.call("k", "recall") == {"b": "set"}
    await sessions.call("k", "remember", name="c", value=3)
    assert await sessions.call("k", "recall") == {"b": "set", "c": 3}


async def test_an_ended_session_begins_anew(keeping):
    sessions = await keeping()
    await sessions.call("k", "remember", name="a", value=1)
    sessions.bench.pools.end_session("p", "k")
    assert await sessions.call("k", "recall") == {}


@pytest.fixture
def slowly(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """Two files and what a slow tool is told of them: when it has started, until when it waits."""
    started, until = tmp_path / "started", tmp_path / "until"
    return started, until, {"started": str(started), "until": str(until)}


async def test_a_session_begun_anew_has_nothing_of_the_one_whose_command_still_runs(
    keeping, slowly
):
    sessions = await keeping()
    started, until, waits = slowly
    old = sessions.start("k", "remember_slowly", name="a", **waits)
    await sessions.bench.until("the start", started.exists)
    sessions.bench.pools.end_session("p", "k")
    new = sessions.start("k", "remember", name="b", value=1)
    await sessions.bench.until("the queue", lambda: sessions.bench.status.queued == 1)
    until.touch()
    await asyncio.gather(old, new)
    for number in range(3):
        await sessions.call("k", "remember", name=f"c{number}", value=number)
    assert await sessions.call("k", "recall") == {"b": 1, "c0": 0, "c1": 1, "c2": 2}
    sessions.bench.exact()


async def test_a_session_begun_anew_while_a_command_runs_keeps_its_own_adapter(
    keeping, log, slowly
):
    sessions = await keeping("session_adapters:Each")
    started, until, waits = slowly
    old = sessions.start("k", "see_slowly", what="old", **waits)
    await sessions.bench.until("the start", started.exists)
    sessions.bench.pools.end_session("p", "k")
    new = sessions.start("k", "see", what="a")
    with pytest.raises(SessionBusy, match="commands of session k have not ended"):
        await sessions.call("k", "see", what="z", affinity="strict_fail")
    until.touch()
    assert await old == ["old"]
    assert await new == ["a"]
    assert await sessions.call("k", "see", what="b") == ["a", "b"]
    assert log.read_text() == "old\n"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("EACH_LOG", str(path))
    return path


async def test_each_session_may_have_an_adapter_of_its_own(keeping, log):
    sessions = await keeping("session_adapters:Each")
    assert await sessions.call("one", "see", what="a") == ["a"]
    assert await sessions.call("other", "see", what="b") == ["b"]
    assert await sessions.call("one", "see", what="c") == ["a", "c"]
    assert await sessions.bench.call("see", what="z") == ["z"]
    sessions.bench.pools.end_session("p", "one")
    await sessions.bench.until("the teardown", lambda: log.read_text() == "a,c\n")
    assert await sessions.call("one", "see", what="d") == ["d"]
    await sessions.bench.pools.recycle("p")
    await sessions.bench.until("the end", lambda: len(log.read_text().splitlines()) == 4)
    assert set(log.read_text().splitlines()) == {"a,c", "d", "b", "z"}


async def test_whatever_a_tool_keeps_is_shown_and_can_be_set(keeping):
    sessions = await keeping()
    await sessions.call("one", "remember", name="counts", value={1: 2, b"k": {None: 3}})
    pools = sessions.bench.pools
    (status,) = pools.sessions("p")
    assert json.loads(status.variables_json) == {"counts": {"1": 2, "b'k'": {"None": 3}}}
    pools.set_variables("p", "one", msgpack.packb({"a": 1}))
    assert (await sessions.call("one", "recall_texts"))["a"] == "1"
    await sessions.call("two", "remember_an_array", name="much")
    await sessions.call("two", "remember", name="little", value=1)
    shown = {each.key: json.loads(each.variables_json) for each in pools.sessions("p")}
    assert list(shown["two"]) == ["much", "little"]
    pools.set_variables("p", "two", msgpack.packb({"much": None}))
    assert await sessions.call("two", "recall") == {"little": 1}


async def test_variables_that_are_nested_too_deeply_are_not_shown(keeping):
    sessions = await keeping()
    for key in ("one", "two"):
        await sessions.call(key, "remember", name="a", value=1)
    deep = b"\x81\xa1a" + b"\x91" * 1000 + b"\xc0"
    sessions.bench.pools.set_variables("p", "one", deep)
    shown = {each.key: each.variables_json for each in sessions.bench.pools.sessions("p")}
    assert shown == {"one": '{"a": "nested too deeply to be shown"}', "two": '{"a": 1}'}
