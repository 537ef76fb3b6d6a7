"""What the columns of pools, workers, sessions and poison say."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester

from app.models import pools
from app.models.table import (
    BAR_ROLE,
    PARTS_ROLE,
    SORT_ROLE,
    TONE_ROLE,
    TRAIL_ROLE,
    FilterModel,
    TableModel,
    Trail,
)
from app.store import FleetStore

Tables = Callable[..., dict]
SECOND = 1_000_000_000


def column_at(model: TableModel, title: str) -> int:
    return [spec.title for spec in model.columns].index(title)


@pytest.fixture
def pool(store: FleetStore, tables: Tables) -> TableModel:
    store.apply(
        tables(
            "pool",
            {
                "name": "p",
                "state": "serving",
                "size": 3,
                "min_size": 2,
                "max_size": 8,
                "queue_limit": 100,
                "queued": 34,
                "queued_urgent": 5,
                "queued_normal": 20,
                "queued_later": 9,
                "queue_wait": 0.012,
                "breaker": "half_open",
                "slab_bytes": 1 << 20,
                "slab_used_bytes": 1 << 19,
                "leases": 2,
                "profile": "free_threaded",
                "backend": "ray",
                "poisoned": 1,
                "queue_policy": "shed_oldest",
            },
        )
    )
    model = TableModel(pools.POOLS)
    model.set_rows(store.pools, 1)
    return model


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Workers", "3 of 2…8"),
        ("Queued", "▲5 ●20 ▼9  34"),
        ("Wait", "12 ms"),
        ("Breaker", "half-open"),
        ("Shared", "512.0 KiB"),
        ("Profile", "free-threaded · ray"),
        ("Poison", "1"),
    ],
)
def test_a_pools_cells(pool: TableModel, title: str, text: str) -> None:
    assert pool.index(0, column_at(pool, title)).data() == text


def test_a_queue_is_stacked_by_priority(pool: TableModel) -> None:
    index = pool.index(0, column_at(pool, "Queued"))
    parts = index.data(PARTS_ROLE)
    assert [part.token for part in parts[:3]] == [f"priority.{p}" for p in pools.PRIORITY_MARKS]
    assert sum(part.share for part in parts) == pytest.approx(0.34)
    tip = index.data(Qt.ItemDataRole.ToolTipRole)
    assert "5 urgent, 20 normal, 9 later" in tip
    assert "the oldest command makes room" in tip


def test_a_short_queue_is_seen_and_a_full_one_warns(store: FleetStore, tables: Tables) -> None:
    given = {"name": "p", "state": "serving", "queue_limit": 1000}
    store.apply(tables("pool", given | {"queued": 1, "queued_urgent": 1}))
    parts = pools.queue_parts(store.pools["p"])
    assert sum(part.share for part in parts) == pytest.approx(pools.LEAST_BAR)
    store.apply(tables("pool", given | {"queued": 900, "queued_later": 900}))
    assert pools.queue_parts(store.pools["p"])[-1].token == "severity.warning"
    store.apply(tables("pool", given))
    assert [part.text for part in pools.queue_parts(store.pools["p"])] == ["0"]


def test_an_engine_that_tells_no_more_is_shown_without_it(
    store: FleetStore, tables: Tables
) -> None:
    store.apply(tables("pool", {"name": "p", "state": "serving", "size": 2, "queued": 3}))
    model = TableModel(pools.POOLS)
    model.set_rows(store.pools, 1)
    shown = {spec.title: model.index(0, at).data() for at, spec in enumerate(model.columns)}
    wanted = {"Workers": "2", "Queued": "3", "Wait": "–", "Breaker": "–", "Shared": "–"}
    assert wanted.items() <= shown.items()
    assert shown["Profile"] == "process"
    assert model.index(0, column_at(model, "Shared")).data(BAR_ROLE) is None


def test_a_workers_cells_warn(store: FleetStore, tables: Tables) -> None:
    store.apply(
        tables(
            "worker",
            {"pool": "p", "id": "w", "tool": "parse", "running": 3, "missed": 2, "taint": "old"},
        )
    )
    model = TableModel(pools.worker_columns(lambda row: [1.0, float(row["running"])]))
    model.set_rows(store.workers, 1)
    assert model.index(0, column_at(model, "Runs")).data() == "parse +2"
    assert model.index(0, column_at(model, "Missed")).data(TONE_ROLE) == "severity.warning"
    assert model.index(0, column_at(model, "Taint")).data() == "old"
    assert model.index(0, column_at(model, "Node")).data() == "here"
    assert model.index(0, column_at(model, "Memory")).data(TRAIL_ROLE) == Trail([1.0, 3.0])


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ('{"user": "ada", "step": 3}', "user ada · step 3"),
        ("", ""),
        ("{broken", "{broken"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_a_sessions_variables_in_short(variables: str, text: str) -> None:
    assert pools.variables_text({"variables": variables}) == text


def test_a_session_says_when_it_ends() -> None:
    ends = pools.SESSIONS[-1].text
    now = 1_000 * SECOND
    assert ends({"expires_ns": now + 90 * SECOND}, now) == "2 min"
    assert ends({"expires_ns": now - SECOND}, now) == "now"
    assert ends({"expires_ns": 0}, now) == "–"


@pytest.mark.parametrize(
    ("topic", "columns"),
    [
        ("pool", pools.POOLS),
        ("worker", pools.WORKERS),
        ("session", pools.SESSIONS),
        ("poison", pools.POISON),
    ],
)
def test_each_table_passes_qts_own_check_and_every_cell_is_read(
    qtmodeltester: ModelTester,
    store: FleetStore,
    tables: Tables,
    topic: str,
    columns: tuple,
) -> None:
    names = ("a", "b", "c")
    store.apply(
        tables(
            topic,
            *({"name": n, "id": n, "key": n, "fingerprint": n, "state": "open"} for n in names),
        )
    )
    rows = {
        "pool": store.pools,
        "worker": store.workers,
        "session": store.sessions,
        "poison": store.poison,
    }[topic]
    assert len(rows) == len(names)
    model = TableModel(columns)
    model.set_rows(rows, 5)
    qtmodeltester.check(model)
    filtered = FilterModel()
    filtered.setSourceModel(model)
    qtmodeltester.check(filtered)
    for at in range(model.columnCount()):
        index = model.index(0, at)
        assert isinstance(index.data(), str)
        for role in (Qt.ItemDataRole.ToolTipRole, SORT_ROLE, PARTS_ROLE, TONE_ROLE, TRAIL_ROLE):
            index.data(role)
