"""Commands are real requests of the wire; undo is their inverse, on the revision that they made."""

from dataclasses import replace

import pytest

from app import commands, exportcommands, poolcommands, samplingcommands
from app.commands import ACTOR, Command, Outcome
from app.poolcommands import Sizing, resize_pool
from app.undo import UndoStack
from citadel.errors import Conflict
from citadel.wire import codec
from citadel.wire.messages import (
    ExporterConfig,
    KeepRule,
    LayerConfig,
    SamplingOverride,
    SamplingPolicy,
    SamplingRule,
)

POOL = {
    "name": "p",
    "state": "serving",
    "size": 2,
    "min_size": 0,
    "max_size": 0,
    "running": 1,
    "queued": 34,
}
WORKER = {"pool": "p", "id": "w", "running": 0, "command_id": "", "tool": ""}
SESSION = {"pool": "p", "key": "s", "worker": "", "commands": 1}
POISON = {"pool": "p", "fingerprint": "9f", "tool": "parse", "kills": 1}


def resize(size: int, was: int | None = None) -> Command:
    before = None if was is None else Sizing(size=was)
    return resize_pool("p", Sizing(size=size), was=before)


EXPORTER = ExporterConfig(name="x", preset="phoenix")
OVERRIDE = SamplingOverride(
    id="o", rule=SamplingRule(id="o", rate=1.0), expires_unix_nanos=60_000_000_000, reason="r"
)
ALL = [
    resize(4, was=2),
    resize_pool("p", Sizing(size=2, least=2, most=8)),
    *(poolcommands.set_pool_state(POOL, state) for state in ("serving", "paused", "draining")),
    poolcommands.recycle_pool("p", "w"),
    poolcommands.kill_worker(WORKER),
    poolcommands.inspect_worker("p", "w"),
    poolcommands.list_tools("p"),
    poolcommands.end_session(SESSION),
    poolcommands.list_poison("p"),
    poolcommands.release_poison(POISON),
    commands.spawn_sentinel("planner"),
    commands.stop_sentinel("s"),
    commands.restart_sentinel("s"),
    commands.inspect_sentinel("s"),
    commands.mission_kinds(),
    commands.start_mission("survey", "{}"),
    commands.cancel_mission("m"),
    commands.set_mission_rate("m", 5, was=2),
    commands.mission_result("m"),
    samplingcommands.apply_sampling([SamplingRule(id="a", rate=0.5)], 3),
    samplingcommands.preview_sampling([], keep=[KeepRule(id="e", when="error")]),
    samplingcommands.override_sampling(SamplingRule(id="o", rate=1.0), 900, "looking"),
    samplingcommands.revert_override(OVERRIDE, 1),
    samplingcommands.why(trace_id="0" * 32),
    exportcommands.list_exporters(),
    exportcommands.apply_exporter(EXPORTER, known=False),
    exportcommands.pause_exporter(EXPORTER, paused=True),
    exportcommands.remove_exporter("x"),
    exportcommands.try_exporter(EXPORTER),
    exportcommands.start_recording("r", before=30),
    exportcommands.stop_recording("r"),
    exportcommands.remove_recording("r"),
    commands.apply_defense(True, [LayerConfig(name="l")], 3),
    commands.preview_defense(True, []),
    commands.check_text("x"),
    commands.search_traces("status=error"),
    commands.get_trace("0" * 32),
    commands.span_ledger(),
    commands.read_audit(),
]


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.method)
def test_each_command_fits_its_method(command: Command) -> None:
    method = codec.methods()[command.method]
    assert isinstance(command.request, method.request)
    assert codec.decode(method.request, codec.encode(command.request)) == command.request
    if command.changes:
        assert command.request.change.actor == ACTOR
        assert command.request.change.reason


def test_what_succeeded_can_be_undone_newest_first() -> None:
    undo = UndoStack()
    for size in (3, 4):
        command = resize(size, was=size - 1)
        undo.ended(Outcome(command=command, reply=object()))
    assert undo.pop() == replace(resize(3), consequence="")
    assert undo.pop() == replace(resize(2), consequence="")
    assert undo.pop() is None


def test_what_failed_or_has_no_inverse_is_not_undone() -> None:
    undo = UndoStack()
    failed = resize(3, was=2)
    undo.ended(Outcome(command=failed, error=Conflict("stale")))
    undo.ended(Outcome(command=poolcommands.kill_worker(WORKER), reply=object()))
    assert len(undo) == 0


def test_an_undo_rests_on_the_revision_that_the_change_made() -> None:
    undo = UndoStack()
    inverse = samplingcommands.apply_sampling([SamplingRule(id="a", rate=1.0)], 3)
    command = replace(
        samplingcommands.apply_sampling([SamplingRule(id="a", rate=0.5)], 3), undo=inverse
    )
    undo.ended(Outcome(command=command, reply=SamplingPolicy(revision=4)))
    found = undo.pop()
    assert found is not None
    assert found.request.change.revision == 4
    assert found.request.rules[0].rate == 1.0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            poolcommands.set_pool_state(POOL, "draining"),
            "1 running command finishes, 34 queued still run, new ones are refused until it is",
        ),
        (poolcommands.set_pool_state(POOL, "serving"), "34 waiting commands can start."),
        (resize(3, was=2), "1 more worker starts."),
        (resize(2, was=2), "The pool keeps 2 workers."),
        (resize(1, was=3), "2 workers finish what they run, and end; no command is lost."),
        (resize(0, was=3), "No worker is left when the running commands have ended; new commands"),
        (poolcommands.kill_worker(WORKER), "It runs nothing now."),
        (
            poolcommands.kill_worker(WORKER | {"running": 3, "command_id": "c"}),
            "Its 3 running commands fail",
        ),
        (poolcommands.end_session(SESSION), "Its variables are given up, after 1 command."),
        (poolcommands.release_poison(POISON), "It killed 1 worker;"),
    ],
    ids=lambda value: value.title if isinstance(value, Command) else "",
)
def test_a_consequence_is_said_in_numbers(command: Command, told: str) -> None:
    assert told in command.consequence


def test_only_a_state_that_can_be_set_is_gone_back_to() -> None:
    drained = poolcommands.set_pool_state(POOL | {"state": "failed"}, "draining")
    assert drained.undo is None
    undo = poolcommands.set_pool_state(POOL | {"state": "paused"}, "draining").undo
    assert undo is not None
    assert undo.request.state == "paused"


def test_an_override_is_undone_by_ending_it_and_its_end_by_what_it_had_left() -> None:
    begun = samplingcommands.override_sampling(
        SamplingRule(id="o", rate=1.0), 900, "looking", "ada"
    )
    assert begun.request.change.actor == "ada"
    assert begun.undo is not None
    assert begun.undo.request.override_id == "o"
    ended = samplingcommands.revert_override(OVERRIDE, 20_000_000_000)
    assert ended.undo is not None
    assert ended.undo.request.seconds == 40
    over = samplingcommands.revert_override(OVERRIDE, 60_000_000_000)
    assert over.undo is None
