"""Commands are real requests of the wire; undo is their inverse, on the revision that they made."""

from dataclasses import replace

import pytest

from app import commands
from app.commands import ACTOR, Command, Outcome
from app.undo import UndoStack
from citadel.errors import Conflict
from citadel.wire import codec
from citadel.wire.messages import LayerConfig, SamplingPolicy, SamplingRule

ALL = [
    commands.resize_pool("p", 4, was=2),
    commands.recycle_pool("p", "w"),
    commands.kill_worker("p", "w"),
    commands.list_tools("p"),
    commands.spawn_sentinel("planner"),
    commands.stop_sentinel("s"),
    commands.restart_sentinel("s"),
    commands.inspect_sentinel("s"),
    commands.mission_kinds(),
    commands.start_mission("survey", "{}"),
    commands.cancel_mission("m"),
    commands.set_mission_rate("m", 5, was=2),
    commands.mission_result("m"),
    commands.apply_sampling([SamplingRule(id="a", rate=0.5)], 3),
    commands.preview_sampling([]),
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
        command = commands.resize_pool("p", size, was=size - 1)
        undo.ended(Outcome(command=command, reply=object()))
    assert undo.pop() == commands.resize_pool("p", 3)
    assert undo.pop() == commands.resize_pool("p", 2)
    assert undo.pop() is None


def test_what_failed_or_has_no_inverse_is_not_undone() -> None:
    undo = UndoStack()
    failed = commands.resize_pool("p", 3, was=2)
    undo.ended(Outcome(command=failed, error=Conflict("stale")))
    undo.ended(Outcome(command=commands.kill_worker("p", "w"), reply=object()))
    assert len(undo) == 0


def test_an_undo_rests_on_the_revision_that_the_change_made() -> None:
    undo = UndoStack()
    inverse = commands.apply_sampling([SamplingRule(id="a", rate=1.0)], 3)
    command = replace(commands.apply_sampling([SamplingRule(id="a", rate=0.5)], 3), undo=inverse)
    undo.ended(Outcome(command=command, reply=SamplingPolicy(revision=4)))
    found = undo.pop()
    assert found is not None
    assert found.request.change.revision == 4
    assert found.request.rules[0].rate == 1.0
