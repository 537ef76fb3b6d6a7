"""The desk of a pool's sessions: what it costs to end those that are unused."""

from collections import OrderedDict
from collections.abc import Iterator

from citadel.wire.columns import rows, unpack
from engine.pool.options import SessionOptions
from engine.pool.scheduler import Scheduler
from engine.pool.session_desk import SessionDesk
from engine.pool.sessions import Session
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

MANY = 1_000


class Watched(OrderedDict[str, Session]):
    """Counts how often somebody goes through it."""

    walked = 0

    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            self.walked += 1
            yield key


async def test_ending_unused_sessions_costs_nothing_for_those_that_stay():
    now = 0.0
    hub = LiveHub("test")
    recorder = Recorder(publish=hub.publish)
    options = SessionOptions(ttl_seconds=10.0, limit=2 * MANY)
    scheduler = Scheduler("p", 8, sessions=options, clock=lambda: now)
    desk = SessionDesk(scheduler, recorder, hub, lambda _: None)
    core = scheduler.sessions
    core.sessions = Watched()
    for number in range(MANY):
        now = 5.0 if number > 1 else 0.0
        core.leave(core.enter(f"s{number}", "hint"))
    now = 12.0
    desk._expire()
    assert len(core.sessions) == MANY - 2
    assert core.sessions.walked == 0
    desk.close()
    _, (batch,) = hub.snapshot(["event"])
    ended = [row["subject"] for row in rows(unpack(batch)) if row["name"] == "session.ended"]
    assert ended == ["s0", "s1"]
