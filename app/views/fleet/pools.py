"""What can be done to pools and workers, and their two tables. Main thread only."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from app.commands import CommandSink
from app.models import pools
from app.poolcommands import (
    Settable,
    Sizing,
    kill_worker,
    recycle_pool,
    resize_pool,
    set_pool_state,
)
from app.store import FleetStore, Row
from app.theme import Theme
from app.views.confirm import confirm
from app.views.fleet.panel import FleetPanel, RowAction
from app.views.fleet.sizedialog import MOST_WORKERS, SizeDialog

ALIVE = frozenset({"starting", "ready", "busy"})


def pools_panel(host: QWidget, theme: Theme, sink: CommandSink) -> FleetPanel:
    """The pools."""
    return FleetPanel(
        "Pools",
        pools.POOLS,
        theme,
        "This engine has no pools. Name one in its settings: [[pools]].",
        pool_actions(host, sink),
    )


def pool_actions(host: QWidget, sink: CommandSink) -> tuple[RowAction, ...]:
    """What can be done to a pool; the host is what dialogs open over."""
    return (*_states(host, sink), *_sizes(host, sink))


def _states(host: QWidget, sink: CommandSink) -> tuple[RowAction, ...]:
    def to(state: Settable, *, ask: bool) -> Callable[[Row], object]:
        def run(row: Row) -> None:
            command = set_pool_state(row, state)
            if ask:
                confirm(host, command, sink)
            else:
                sink.send(command)

        return run

    return (
        RowAction(
            name="pool.pause",
            title="Pause the pool…",
            icon="pause",
            run=to("paused", ask=True),
            fits=lambda row: row["state"] == "serving",
            tip=lambda row: set_pool_state(row, "paused").consequence,
        ),
        RowAction(
            name="pool.resume",
            title="Resume the pool",
            icon="play",
            run=to("serving", ask=False),
            fits=lambda row: row["state"] in {"paused", "draining"},
            tip=lambda row: set_pool_state(row, "serving").consequence,
        ),
        RowAction(
            name="pool.drain",
            title="Drain the pool…",
            icon="drain",
            run=to("draining", ask=True),
            fits=lambda row: row["state"] in {"serving", "paused"},
            tip=lambda row: set_pool_state(row, "draining").consequence,
        ),
    )


def _sizes(host: QWidget, sink: CommandSink) -> tuple[RowAction, ...]:
    def by(step: int) -> Callable[[Row], object]:
        def run(row: Row) -> None:
            size = min(max(row["size"] + step, 0), MOST_WORKERS)
            sink.send(resize_pool(row["name"], Sizing(size=size), was=Sizing.of(row)))

        return run

    def ask_size(row: Row) -> SizeDialog:
        dialog = SizeDialog(host, row, sink)
        dialog.open()
        return dialog

    def recycle(row: Row) -> None:
        confirm(host, recycle_pool(row["name"], workers=row["size"]), sink)

    return (
        RowAction(
            title="One worker less",
            icon="minus",
            run=by(-1),
            fits=lambda row: row["size"] > 0 and not row["max_size"],
        ),
        RowAction(
            title="One worker more",
            icon="plus",
            run=by(1),
            fits=lambda row: row["size"] < MOST_WORKERS and not row["max_size"],
        ),
        RowAction(name="pool.resize", title="Resize the pool…", icon="resize", run=ask_size),
        RowAction(
            name="pool.recycle",
            title="Recycle all workers…",
            icon="recycle",
            run=recycle,
            fits=lambda row: row["size"] > 0,
            tip=lambda row: recycle_pool(row["name"], workers=row["size"]).consequence,
        ),
    )


def workers_panel(host: QWidget, store: FleetStore, theme: Theme, sink: CommandSink) -> FleetPanel:
    """The workers of all pools."""

    def trail(row: Row) -> list[float]:
        life = store.lives.get(row["pool"], row["id"])
        return life.trail(pools.TRAIL_POINTS) if life is not None else []

    return FleetPanel(
        "Workers",
        pools.worker_columns(trail),
        theme,
        "No workers run. Resize a pool to start some.",
        (
            RowAction(
                name="worker.recycle",
                title="Recycle the worker",
                icon="recycle",
                run=lambda row: sink.send(recycle_pool(row["pool"], row["id"])),
                fits=lambda row: row["state"] in ALIVE,
                tip=lambda row: recycle_pool(row["pool"], row["id"]).consequence,
            ),
            RowAction(
                name="worker.kill",
                title="Kill the worker…",
                icon="kill",
                run=lambda row: confirm(host, kill_worker(row), sink),
                fits=lambda row: row["state"] in ALIVE | {"draining"},
                tip=lambda row: kill_worker(row).consequence,
            ),
        ),
        heading=False,
    )
