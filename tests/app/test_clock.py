"""A frozen room stands still while ingest goes on, and catches up to the same state."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import clock as clock_module
from app.clock import RoomClock
from app.store import FleetStore

Tables = Callable[..., dict]
SECOND = 1_000_000_000


@pytest.fixture
def clock(store: FleetStore) -> RoomClock:
    return RoomClock(store)


def test_live_rows_go_straight_to_the_store(
    clock: RoomClock, store: FleetStore, tables: Tables
) -> None:
    clock.take(tables("event", {"name": "x"}), 1)
    assert len(store.events) == 1
    assert clock.now_ns(77) == 77


def test_frozen_views_do_not_move_and_the_backlog_is_counted(
    clock: RoomClock, store: FleetStore, tables: Tables
) -> None:
    clock.take(tables("worker", {"pool": "p", "id": "a", "state": "ready"}), 1)
    generation = dict(store.generation)
    clock.freeze(5)
    clock.take(tables("worker", {"pool": "p", "id": "a", "state": "busy"}), 6)
    clock.take(tables("event", {"name": "x"}, {"name": "y"}), 7)
    assert clock.now_ns(100) == 5
    assert clock.behind == 3
    assert store.workers["p", "a"]["state"] == "ready"
    assert store.generation == generation
    clock.go_live()
    assert store.workers["p", "a"]["state"] == "busy"
    assert len(store.events) == 2
    assert (clock.behind, clock.now_ns(100)) == (0, 100)


def test_policies_pass_a_freeze(clock: RoomClock, store: FleetStore, tables: Tables) -> None:
    clock.freeze(5)
    clock.take(tables("sampling", {"name": "sampling", "revision": 9, "rules": "[]"}), 6)
    assert store.sampling is not None
    assert store.sampling["revision"] == 9
    assert clock.behind == 0


def test_a_snapshot_ends_a_freeze(clock: RoomClock, tables: Tables) -> None:
    clock.freeze(5)
    clock.take(tables("event", {"name": "x"}), 6)
    clock.reset({})
    assert not clock.frozen
    assert clock.behind == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["ready", "busy", "gone"])),
        max_size=60,
    ),
    bound=st.integers(1, 20),
)
def test_however_small_the_bound_the_state_is_right_after_catching_up(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, str]], bound: int
) -> None:
    monkeypatch.setattr(clock_module, "MAX_BEHIND", bound)
    frozen_store, live_store = FleetStore(), FleetStore()
    frozen, live = RoomClock(frozen_store), RoomClock(live_store)
    frozen.freeze(1)
    for number, (name, state) in enumerate(rows):
        batch = tables(
            "worker", {"pool": "p", "id": name, "state": state, "done": number}
        ) | tables("event", {"name": "x"})
        frozen.take(batch, number)
        live.take(batch, number)
    frozen.go_live()
    assert frozen_store.workers == live_store.workers
    assert frozen.dropped == live_store.events.total - frozen_store.events.total


def test_density_counts_happenings_a_second(clock: RoomClock, tables: Tables) -> None:
    clock.take(tables("event", {"name": "x"}, {"name": "y"}), 10 * SECOND)
    clock.take(tables("event", {"name": "x"}), 10 * SECOND + 5)
    clock.take(tables("pool", {"name": "p", "state": "serving"}), 11 * SECOND)
    assert list(clock.density) == [(10, 3), (11, 0)]


def test_markers_for_policies_crashes_and_blocks(clock: RoomClock, tables: Tables) -> None:
    clock.take(tables("event", {"time_ns": 3, "name": "worker.lost", "subject": "python-1"}), 3)
    clock.take(tables("event", {"time_ns": 3, "name": "sampling.changed", "message": "rates"}), 3)
    clock.take(tables("verdict", {"time_ns": 4, "decision": "block", "layer": "llm_guard"}), 4)
    clock.take(tables("verdict", {"time_ns": 4, "decision": "allow", "layer": "llm_guard"}), 4)
    assert [marker.kind for marker in clock.markers] == ["crash", "policy", "block"]
