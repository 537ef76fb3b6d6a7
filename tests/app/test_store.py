"""The store reduces the stream: last rows of keys, bounded logs, generations."""

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from app.store import FleetStore, RowLog

Tables = Callable[..., dict]


def test_a_state_topic_keeps_the_last_row_of_each_key(store: FleetStore, tables: Tables) -> None:
    store.apply(tables("worker", {"pool": "p", "id": "a", "state": "ready"}))
    store.apply(
        tables(
            "worker",
            {"pool": "p", "id": "a", "state": "busy"},
            {"pool": "p", "id": "b", "state": "ready"},
        )
    )
    assert {key: row["state"] for key, row in store.workers.items()} == {
        ("p", "a"): "busy",
        ("p", "b"): "ready",
    }


def test_gone_takes_a_key_out(store: FleetStore, tables: Tables) -> None:
    store.apply(tables("mission", {"id": "m", "state": "running"}))
    store.apply(tables("mission", {"id": "m", "state": "gone"}))
    assert store.missions == {}


def test_a_pool_that_goes_takes_its_workers_along(store: FleetStore, tables: Tables) -> None:
    store.apply(tables("pool", {"name": "p", "state": "serving"}))
    store.apply(tables("worker", {"pool": "p", "id": "a", "state": "ready"}))
    store.apply(tables("pool", {"name": "p", "state": "gone"}))
    assert store.workers == {}


def test_only_the_topics_that_moved_have_another_generation(
    store: FleetStore, tables: Tables
) -> None:
    before = dict(store.generation)
    store.apply(tables("event", {"name": "worker.lost"}) | tables("pool"))
    moved = {topic for topic in before if store.generation[topic] != before[topic]}
    assert moved == {"event"}


def test_an_unknown_topic_is_left_aside(store: FleetStore, tables: Tables) -> None:
    store.apply({"from the future": next(iter(tables("event", {"name": "x"}).values()))})
    assert store.received_rows == 0


def test_a_snapshot_replaces_everything(store: FleetStore, tables: Tables) -> None:
    store.apply(
        tables("pool", {"name": "old", "state": "serving"}) | tables("event", {"name": "x"})
    )
    store.reset(tables("pool", {"name": "new", "state": "serving"}))
    assert list(store.pools) == ["new"]
    assert len(store.events) == 0


def test_an_audit_entry_that_comes_twice_is_kept_once(store: FleetStore, tables: Tables) -> None:
    store.reset(tables("audit", {"seq": 1}, {"seq": 2}))
    store.apply(tables("audit", {"seq": 2}, {"seq": 3}))
    assert [row["seq"] for row in store.audit] == [1, 2, 3]


def test_counters_are_summed_over_the_labels_that_are_asked_for(
    store: FleetStore, tables: Tables
) -> None:
    def row(layer: str, decision: str, value: float) -> dict:
        labels = json.dumps({"layer": layer, "decision": decision})
        return {"name": "verdicts", "labels": labels, "value": value}

    store.apply(tables("counter", row("a", "block", 2), row("b", "block", 3), row("a", "allow", 9)))
    assert store.counter("verdicts", decision="block") == 5
    assert store.counter("verdicts", layer="a", decision="block") == 2
    assert store.counter("verdicts") == 14
    assert store.counter("nothing") == 0


def test_a_strip_has_one_entry_a_change_of_state(store: FleetStore, tables: Tables) -> None:
    for time_ns, state in ((1, "idle"), (1, "idle"), (2, "working"), (3, "idle")):
        store.apply(tables("sentinel", {"id": "s", "state": state, "since_ns": time_ns}))
    assert list(store.sentinel_history["s"]) == [(1, "idle"), (2, "working"), (3, "idle")]


def test_policies_are_read_from_their_rows(store: FleetStore, tables: Tables) -> None:
    assert store.rules() == []
    assert store.layers() == []
    assert store.strict is False
    store.apply(tables("sampling", {"name": "sampling", "rules": '[{"id": "a", "rate": 1.0}]'}))
    store.apply(tables("defense", {"name": "defense", "strict": 1, "layers": "[]"}))
    assert store.rules() == [{"id": "a", "rate": 1.0}]
    assert store.strict is True


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 20))
def test_a_log_gives_what_came_since_and_counts_what_fell_out(sizes: list[int], limit: int) -> None:
    log, everything, seen = RowLog(limit), [], 0
    for size in sizes:
        new = [{"n": len(everything) + i} for i in range(size)]
        everything += new
        log.extend(new)
        fresh = log.since(seen)
        assert fresh == everything[seen:][-limit:]
        seen = log.total
    assert list(log) == everything[-limit:]
    assert log.total == len(everything)
    assert log.dropped == len(everything) - len(log)


def test_a_pool_that_goes_takes_its_sessions_and_poison_along_but_not_the_lives(
    store: FleetStore, tables: Tables
) -> None:
    store.apply(
        tables("pool", {"name": "p", "state": "serving"})
        | tables("worker", {"pool": "p", "id": "a", "state": "ready"})
        | tables("session", {"pool": "p", "key": "s", "state": "open"})
        | tables("poison", {"pool": "p", "fingerprint": "f", "state": "counted"})
    )
    assert len(store.sessions) == len(store.poison) == 1
    store.apply(tables("pool", {"name": "p", "state": "gone"}))
    assert store.sessions == store.poison == {}
    life = store.lives.get("p", "a")
    assert life is not None
    assert life.ended
    store.reset({})
    assert len(store.lives) == 0


def test_a_queue_has_a_history_by_priority(store: FleetStore, tables: Tables) -> None:
    for second, urgent in ((1, 3), (2, 0)):
        store.apply(
            tables(
                "pool",
                {
                    "name": "p",
                    "state": "serving",
                    "time_ns": second * 10**9 + 10**9 // 2,
                    "queued": urgent + 2,
                    "queued_urgent": urgent,
                    "queued_later": 2,
                },
            )
        )
    peaks = store.series.peaks("pool.queued_urgent.p", 0, 3 * 10**9, 3)
    assert peaks.tolist() == [0, 3, 3]
    assert store.series.peaks("pool.queued", 0, 3 * 10**9, 3).tolist() == [0, 5, 5]


def test_exporters_and_recordings_are_kept_by_name_until_they_are_gone(
    store: FleetStore, tables: Tables
) -> None:
    store.apply(
        tables("exporter", {"name": "a", "state": "idle"}, {"name": "b", "state": "failed"})
    )
    store.apply(tables("recording", {"name": "r", "state": "recording", "kind": "incident"}))
    assert [row["state"] for row in store.exporters.values()] == ["idle", "failed"]
    store.apply(tables("exporter", {"name": "a", "state": "gone"}))
    assert set(store.exporters) == {"b"}
    assert store.recordings["r"]["kind"] == "incident"
    store.reset({})
    assert not store.exporters
    assert not store.recordings


def test_a_policy_s_parts_and_counters_by_a_label(store: FleetStore, tables: Tables) -> None:
    assert store.keep_rules() == store.overrides() == store.sampling_warnings() == []
    store.apply(
        tables("sampling", {"name": "sampling", "keep": '[{"id": "e"}]', "warnings": '["odd"]'})
    )
    assert store.keep_rules() == [{"id": "e"}]
    assert store.sampling_warnings() == ["odd"]
    store.apply(
        tables(
            "counter",
            {"name": "dropped", "labels": '{"cause": "rule"}', "value": 3},
            {"name": "dropped", "labels": '{"cause": "ceiling"}', "value": 2},
        )
    )
    assert store.counters_by("dropped", "cause") == {"rule": 3, "ceiling": 2}
