"""Each panel's ledger has the panel's own figures, and they add up."""

from collections.abc import Callable

from app.models import ledger
from app.models.spans import SpanColumns
from app.store import FleetStore, GapNote, RowLog
from citadel.wire.messages import Gap

Tables = Callable[..., dict]


def test_a_log_s_ledger_adds_up_when_rows_fall_out(store: FleetStore) -> None:
    log = RowLog(limit=3)
    log.extend([{"n": n} for n in range(5)])
    found = ledger.of_log(store, log, 2)
    assert found.received == found.kept + sum(found.dropped.values()) == 5
    assert found.short() == "5 in · 3 kept · 2 dropped"
    assert "older than the newest" in found.full()
    assert found.lost == 2


def test_gaps_of_the_stream_are_missed_in_every_panel(store: FleetStore, tables: Tables) -> None:
    store.connection.gaps.append(GapNote(time_ns=1, gap=Gap(from_seq=5, to_seq=14)))
    store.apply(tables("worker", {"id": "a", "state": "ready"}, {"id": "a", "state": "busy"}))
    found = ledger.of_state(store, "worker", len(store.workers))
    assert (found.received, found.kept, found.missed) == (2, 1, 10)
    assert "1 were replaced" in found.full()
    assert "10 missed" in found.short()


def test_spans_that_were_forgotten_are_dropped(store: FleetStore, tables: Tables) -> None:
    spans = SpanColumns(capacity=4)
    for number in range(1, 7):
        spans.append(tables("span", {"span_id": number, "trace_lo": 1})["span"])
    found = ledger.of_spans(store, spans)
    assert found.received == 6
    assert found.received == found.kept + sum(found.dropped.values())


def test_the_engine_s_ledger_names_causes_and_the_residual(
    store: FleetStore, tables: Tables
) -> None:
    store.apply(
        tables(
            "counter",
            {"name": "citadel.spans.started", "labels": "{}", "value": 100},
            {"name": "citadel.spans.kept", "labels": "{}", "value": 60},
            {"name": "citadel.spans.dropped", "labels": '{"cause": "rule"}', "value": 30},
            {"name": "citadel.spans.dropped", "labels": '{"cause": "ceiling"}', "value": 5},
        )
    )
    assert "35 dropped" in ledger.engine_text(store)
    assert "5 in flight" in ledger.engine_text(store)
    tip = ledger.engine_tip(store)
    assert "Dropped, rule: 30" in tip
    assert "Residual: 0" in tip


def test_a_reset_begins_to_count_anew(store: FleetStore, tables: Tables) -> None:
    store.apply(tables("event", {"name": "x"}))
    assert store.received["event"] == 1
    store.reset({})
    assert store.received["event"] == 0
