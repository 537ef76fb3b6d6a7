"""The table of sessions against a model: where each is, what it holds, when it ends."""

import json

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from citadel.errors import (
    Conflict,
    InvalidRequest,
    QuotaExceeded,
    SessionLost,
    UnknownSession,
)
from engine.pool.call import Call, Farewell
from engine.pool.options import SessionOptions
from engine.pool.session_desk import SHOWN_CHARACTERS, shown
from engine.pool.sessions import EMPTY, MAX_KEY, SessionTable

LIMIT, TTL, BYTES = 3, 10.0, 64
KEYS = st.sampled_from(["s1", "s2", "s3", "s4"])
WORKERS = st.sampled_from(["w1", "w2"])
AFFINITIES = st.sampled_from(["hint", "strict_queue", "strict_fail"])


def packed(**values: object) -> bytes:
    return msgpack.packb(values)


class Machine(RuleBasedStateMachine):
    """Commands come, are placed and end; workers die; time passes; operators write."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.table = SessionTable(
            "p", SessionOptions(limit=LIMIT, ttl_seconds=TTL, variables_bytes=BYTES), self.clock
        )
        self.running: list[tuple[object, str]] = []
        self.values: dict[str, dict[str, object]] = {}
        self.used: dict[str, float] = {}
        self.lost: set[str] = set()

    def clock(self) -> float:
        return self.now

    @rule(key=KEYS, affinity=AFFINITIES, worker=WORKERS)
    def command(self, key, affinity, worker):
        known = key in self.used
        try:
            found = self.table.check(key, affinity)
        except QuotaExceeded:
            assert not known
            assert len(self.used) == LIMIT
            return
        except SessionLost:
            assert key in self.lost
            assert affinity == "strict_fail"
            return
        assert (found is not None and not found.gone) == known
        session = self.table.enter(key, affinity)
        self.lost.discard(key)
        self.values.setdefault(key, {})
        self.used[key] = self.now
        before = session.worker
        farewells = self.table.place(session, worker)
        assert session.worker == worker
        moved = before not in ("", worker)
        assert [each.worker for each in farewells] == (
            [before] if moved and before not in session.placed else []
        )
        news = session.news_for(worker)
        assert news is None or msgpack.unpackb(news) == self.values[key]
        assert session.news_for(worker) is None, "told once"
        self.running.append((session, worker))

    @rule(pick=st.integers(0, 9), value=st.one_of(st.none(), st.integers(0, 9)))
    def answer(self, pick, value):
        if not self.running:
            return
        session, worker = self.running.pop(pick % len(self.running))
        if value is not None and not session.gone:
            self.table.told(session, worker, packed(x=value))
            self.values[session.key] = {"x": value}
            assert session.held == (worker, session.revision)
        self.table.leave(session)
        self.table.lift(session, worker)
        if not session.gone:
            self.used[session.key] = self.now

    @rule(worker=WORKERS)
    def die(self, worker):
        for session in self.table.lose(worker, "it died"):
            assert session.worker == ""
            if session.affinity == "strict_fail":
                self.lost.add(session.key)
                self.values[session.key] = {}
        for entry in [each for each in self.running if each[1] == worker]:
            self.running.remove(entry)
            self.table.leave(entry[0])
            self.table.lift(entry[0], worker)
            if not entry[0].gone:
                self.used[entry[0].key] = self.now

    @rule(worker=WORKERS)
    def retire(self, worker):
        self.table.retire(worker)
        for session in self.table.sessions.values():
            assert session.worker != worker or (session.leaving and session.placed[worker])

    @rule(key=KEYS, value=st.one_of(st.none(), st.integers(0, 9)))
    def write(self, key, value):
        if key not in self.used:
            with pytest.raises(UnknownSession):
                self.table.set(key, packed(x=value), 0)
            return
        session = self.table.set(key, packed(x=value), self.table.known(key).revision)
        self.values[key] = {} if value is None else {"x": value}
        self.used[key] = self.now
        assert msgpack.unpackb(session.variables) == self.values[key]

    @rule(seconds=st.floats(0.0, 8.0))
    def wait(self, seconds):
        self.now += seconds
        self.table.expire()
        live = {session.key for session, _ in self.running if not session.gone}
        for key in [k for k, at in self.used.items() if at + TTL <= self.now]:
            if key in live:
                self.used[key] = self.now
            else:
                del self.used[key]
                self.values.pop(key)
                self.lost.discard(key)

    @rule(key=KEYS)
    def end(self, key):
        if key in self.used:
            session, _ = self.table.end(key)
            assert session.gone
            del self.used[key]
            self.values.pop(key)
            self.lost.discard(key)

    @invariant()
    def the_open_ones_are_known(self):
        assert set(self.table.sessions) == set(self.used)
        for key, session in self.table.sessions.items():
            assert msgpack.unpackb(session.variables) == self.values[key]
            assert session.live == sum(each is session for each, _ in self.running)
            assert session.expires >= self.used[key] + TTL - 1e-9

    @invariant()
    def bound_means_bound(self):
        bound = {(worker, key) for worker, keys in self.table._bound.items() for key in keys}
        assert bound == {(s.worker, k) for k, s in self.table.sessions.items() if s.worker}


TestSessions = Machine.TestCase
TestSessions.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def table(**options: float) -> SessionTable:
    return SessionTable("p", SessionOptions(**options), lambda: 0.0)


def test_a_stale_revision_is_refused():
    core = table()
    core.enter("s", "hint")
    core.set("s", packed(a=1), 0)
    with pytest.raises(Conflict) as caught:
        core.set("s", packed(a=2), 7)
    assert caught.value.details == {"current": "1"}
    assert core.set("s", packed(b=2), 1).revision == 2


@pytest.mark.parametrize("changes", [b"\xc1", msgpack.packb([1]), msgpack.packb({1: 2})])
def test_what_is_no_map_of_names_is_refused(changes):
    core = table()
    core.enter("s", "hint")
    with pytest.raises(InvalidRequest, match="variables are no"):
        core.set("s", changes, 0)


def test_variables_are_bounded_for_workers_and_operators():
    core = table(variables_bytes=16)
    session = core.enter("s", "hint")
    core.place(session, "w")
    with pytest.raises(QuotaExceeded, match="more than 16"):
        core.told(session, "w", packed(x="x" * 32))
    with pytest.raises(QuotaExceeded, match="more than 16"):
        core.set("s", packed(x="x" * 32), 0)
    assert session.variables == EMPTY


def test_a_worker_that_the_session_has_left_says_nothing_about_a_new_one():
    core = table()
    old = core.enter("s", "hint")
    core.place(old, "w")
    core.end("s")
    new = core.enter("s", "hint")
    core.told(old, "w", packed(x=1))
    assert new.variables == EMPTY


def test_a_new_session_waits_for_the_commands_of_the_ended_one():
    core = table()
    sessions = [core.enter("s", "hint")]
    core.place(sessions[0], "w")
    core.end("s")
    assert core.check("s", "hint") is sessions[0]
    for _ in range(2):
        sessions.append(core.enter("s", "hint"))
        assert sessions[-1].before is sessions[-2]
        call = Call(number=len(sessions), name="c", tool="t", deadline=1.0)
        sessions[-1].parked.push(call)
        core.end("s")
    last = core.enter("s", "hint")
    sessions[1].parked.pop()  # it is cancelled
    core.leave(sessions[1])
    assert core.over(sessions[1]) == [], "it has none left, but waits itself"
    core.leave(sessions[0])
    assert core.over(sessions[0]) == []
    assert core.lift(sessions[0], "w") == [Farewell("w", "s")]
    assert [call.number for call in core.over(sessions[0])] == [3]
    assert last.before is sessions[2]
    core.leave(sessions[2])
    core.over(sessions[2])
    assert last.before is None
    core.end("s")
    core.leave(last)
    core.over(last)
    assert core.check("s", "hint") is None


def test_a_key_is_bounded():
    with pytest.raises(InvalidRequest, match="characters"):
        table().check("k" * (MAX_KEY + 1), "hint")


def test_variables_are_shown_as_json_and_cut():
    assert shown(packed(a=1, b=b"xyz")) == '{"a": 1, "b": "3 bytes"}'
    long = shown(packed(a="x" * 2 * SHOWN_CHARACTERS))
    assert long == f'{{"a": "{2 * SHOWN_CHARACTERS + 2} characters"}}'
    many = json.loads(shown(packed(**{f"name{number}": "x" for number in range(1000)})))
    assert many["name0"] == "3 characters"
    assert many["…"] == f"{1000 - (len(many) - 1)} more"
