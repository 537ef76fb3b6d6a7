"""The real window on a real engine: what an operator does, and what the window says of it.

One Qt loop serves the whole file, because grpc.aio belongs to one asyncio loop a process.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import qasync
import shiboken6
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton

from app.commands import Outcome
from app.models.rules import stop_of
from app.options import Options, parse
from app.room import ControlRoom
from app.samplingcommands import apply_sampling, preview_sampling, sampling_rules
from app.targets import Target
from app.views.topbar import connection_text, connection_tip
from app.views.why import WhyDialog
from citadel.client.client import connect
from citadel.client.local import LocalEngine
from citadel.wire.messages import SamplingRule

PATIENCE = 40.0
LEFT = Qt.MouseButton.LeftButton

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def run(qapp: QApplication) -> Iterator[Run]:
    qapp.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(qapp, already_running=False)
    asyncio.set_event_loop(loop)
    with loop:
        yield loop.run_until_complete
        loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)


async def until(what: str, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Lets Qt and the engine work until something is so; fails with what was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited {seconds:.0f} s in vain: {what}")


@contextlib.asynccontextmanager
async def opened(
    qapp: QApplication, folder: Path, target: Target | None = None, **options: Any
) -> AsyncIterator[ControlRoom]:
    chosen = Options(target=target or Target(), data_dir=folder / "data", theme="dark", **options)
    async with opened_as(qapp, folder, chosen) as room:
        yield room


@contextlib.asynccontextmanager
async def opened_as(
    qapp: QApplication, folder: Path, options: Options
) -> AsyncIterator[ControlRoom]:
    settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
    room = ControlRoom(qapp, options, settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(room.run(), name="control room")
        try:
            await room.furnished.wait()
            yield room
        finally:
            room.close()
    shiboken6.delete(room.window)


async def live(room: ControlRoom) -> None:
    await until("the window is live", lambda: room.store.connection.live)


def click(button: QPushButton) -> None:
    assert button.isEnabled(), button.accessibleName()
    QTest.mouseClick(button, LEFT)


def test_an_operator_works_on_the_embedded_engine(
    qapp: QApplication, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with opened(qapp, tmp_path) as room:
            await live(room)
            await first_run_is_audited(room)
            await a_killed_worker_is_replaced(room)
            await a_rate_is_applied_echoed_audited_and_undone(room)
            await an_override_is_begun_counts_down_and_is_undone(room)
            await a_dropped_trace_says_why(room)
            await an_exporter_is_added_and_says_how_it_stands(room)
            await strict_mode_asks_first(room)
            await frozen_views_stand_still(room)
            await a_pool_is_resized_in_place(room)
            await a_pool_is_paused_from_the_palette_and_that_is_undone(room)
            await a_worker_is_inspected_with_its_past(room)

    run(scenario())


async def first_run_is_audited(room: ControlRoom) -> None:
    store = room.store
    await until("the survey runs", lambda: any(m["done"] > 3 for m in store.missions.values()))
    await until(
        "the first run is in the audit trail",
        lambda: any(
            row["actor"] == "control room" and row["reason"] == "first run" for row in store.audit
        ),
    )
    mission = next(iter(store.missions.values()))
    assert (mission["kind"], mission["rate"], mission["state"]) == ("survey", 20, "running")


async def a_killed_worker_is_replaced(room: ControlRoom) -> None:
    assert room.furniture is not None
    room.window.go("fleet")
    panel = room.furniture.fleet.workers
    await until(
        "workers are ready",
        lambda: sum(row["state"] in {"ready", "busy"} for row in room.store.workers.values()) == 2,
    )
    await until("the table shows them", lambda: panel.table.filtered.rowCount() == 2)
    panel.table.select_row(0)
    victim = panel.table.selected()
    assert victim is not None
    click(panel.buttons["Kill the worker…"])
    box = next(b for b in room.window.findChildren(QMessageBox) if b.objectName() == "confirm")
    click(box.findChild(QPushButton, "confirm-do"))
    await until(
        "another process serves",
        lambda: (
            victim["pid"] not in {row["pid"] for row in room.store.workers.values()}
            and sum(r["state"] in {"ready", "busy"} for r in room.store.workers.values()) == 2
        ),
    )
    await until(
        "the loss is told", lambda: any(row["name"] == "worker.lost" for row in room.store.events)
    )
    assert any(marker.kind == "crash" for marker in room.clock.markers)


async def a_rate_is_applied_echoed_audited_and_undone(room: ControlRoom) -> None:
    assert room.furniture is not None
    room.window.go("bridge")
    dock, store = room.furniture.sampling, room.store
    await until("rules are shown", lambda: dock.cards and dock.draft.state == "clean")
    before, revision, audited = store.rules(), dock.draft.revision, store.audit.total
    changed = 0.25
    dock.cards[-1].slider.setValue(stop_of(changed))
    assert dock.draft.state == "dirty"
    await until("a preview is shown", lambda: "would have kept" in dock.preview.text())
    click(dock.bar.apply)
    assert dock.draft.state == "pending"
    await until("the stream echoes it", lambda: dock.draft.state == "clean")
    assert store.rules()[-1]["rate"] == changed
    assert dock.draft.revision > revision
    await until("it is audited", lambda: store.audit.total > audited)
    assert "sampling" in store.audit[-1]["action"]
    assert store.audit[-1]["actor"] == "control room"
    assert any(marker.kind == "policy" for marker in room.clock.markers)
    room.window.actions_by_name["edit.undo"].trigger()
    await until("it is undone", lambda: store.rules() == before)


async def an_override_is_begun_counts_down_and_is_undone(room: ControlRoom) -> None:
    assert room.furniture is not None
    dock = room.furniture.sampling
    dialog = dock.ask_override(SamplingRule(name="nobody*"), "a look")
    dialog.owner.setText("ada")
    click(dialog.begin)
    await until("it is in force", lambda: dock.overrides.cards)
    (card,) = dock.overrides.cards
    assert "ada" in card.who.text()
    assert "a look" in card.who.text()
    assert card.left.text().startswith("ends in")
    room.undo_last()
    await until("it has ended", lambda: not room.store.overrides())


async def a_dropped_trace_says_why(room: ControlRoom) -> None:
    assert room.link is not None
    before = room.store.rules()
    none = [SamplingRule(id="none", rate=0.0)]
    revision = room.store.sampling["revision"] if room.store.sampling else 0
    room.link.send(apply_sampling(none, revision, "for a test"))
    await until("nothing is kept", lambda: [r["id"] for r in room.store.rules()] == ["none"])
    lost: list[str] = []

    def look(outcome: Outcome) -> None:
        examples = outcome.reply.examples if outcome.ok else ()
        lost.extend(each.trace_id for each in examples if not each.kept_now)

    while not lost:
        room.link.send(preview_sampling([SamplingRule(id="all", rate=1.0)]), look)
        await asyncio.sleep(0.1)
    entry = next(e for e in room.handlers.entries_for(lost[0]) if e.name.startswith("why:"))
    room.handlers.choose(entry)
    dialog = room.window.findChild(WhyDialog)
    assert isinstance(dialog, WhyDialog)
    await until("the engine says", lambda: dialog.title.text() == "It was not kept")
    assert "none" in dialog.accessibleDescription()
    assert "for a test" in dialog.accessibleDescription()
    assert dialog.bar.isVisible()
    dialog.reject()
    revision = room.store.sampling["revision"] if room.store.sampling else 0
    room.link.send(apply_sampling(sampling_rules(before), revision, "as it was"))
    await until("the rules are back", lambda: room.store.rules() == before)


async def an_exporter_is_added_and_says_how_it_stands(room: ControlRoom) -> None:
    assert room.furniture is not None
    dock = room.furniture.exporters
    room.window.show_dock("exporters", True)
    dialog = dock.add()
    dialog.name.setText("nowhere")
    dialog.endpoint.setText("http://127.0.0.1:9")
    dialog.run_test()
    await until("the test came back", lambda: dialog.answer.text().startswith("✕"))
    dialog.apply()
    await until("it is there", lambda: "nowhere" in room.store.exporters)
    await until(
        "it says that no one is there",
        lambda: room.store.exporters["nowhere"]["state"] in {"retrying", "failed"},
    )
    await until("the table shows it", lambda: dock.panel.table.filtered.rowCount() == 1)
    dock.panel.table.select_row(0)
    await until("it can be removed", dock.buttons["remove"].isEnabled)
    dock.remove()
    box = dock.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    click(next(b for b in box.findChildren(QPushButton) if b.objectName() == "confirm-do"))
    await until("it is gone", lambda: not room.store.exporters)


async def strict_mode_asks_first(room: ControlRoom) -> None:
    assert room.furniture is not None
    settings = room.furniture.defence_dock.settings
    room.window.show_dock("defence", True)
    await until("the configuration is shown", settings.strict.isEnabled)
    assert not room.store.strict
    settings.strict.click()
    assert not settings.strict.isChecked()
    box = settings.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    await until(
        "it says what it would block",
        lambda: "minutes" in box.informativeText() and "Looking" not in box.informativeText(),
    )
    click(next(b for b in box.findChildren(QPushButton) if b.text() == "Turn on"))
    await until("strict mode is on", lambda: room.store.strict)
    await until("the badge says so", room.window.top.strict.isVisible)
    await until("the switch shows it", settings.strict.isChecked)
    settings.strict.click()
    await until("strict mode is off", lambda: not room.store.strict)


async def frozen_views_stand_still(room: ControlRoom) -> None:
    room.window.activateWindow()
    await until("the window has the focus", room.window.isActiveWindow)
    QTest.keyClick(room.window, Qt.Key.Key_Space)
    assert room.clock.frozen
    generation, now = dict(room.store.generation), room.now_ns()
    await until("rows pile up", lambda: room.clock.behind > 50)
    moved = {t for t, g in room.store.generation.items() if g != generation[t]}
    assert moved <= {"sampling", "defense", "audit", "connection"}
    assert room.now_ns() == now
    await until("the bar says so", lambda: "behind" in room.window.clock.behind.text())
    QTest.keyClick(room.window, Qt.Key.Key_End)
    assert not room.clock.frozen
    assert room.clock.behind == 0
    assert room.store.generation["span"] > generation["span"]


async def a_pool_is_resized_in_place(room: ControlRoom) -> None:
    assert room.furniture is not None
    room.window.go("fleet")
    panel = room.furniture.fleet.pools
    await until("the pool is shown", lambda: panel.table.filtered.rowCount() == 1)
    panel.table.select_row(0)
    click(panel.buttons["One worker more"])
    await until("three workers", lambda: len(room.store.workers) == 3)
    await until("the table has them", lambda: room.furniture.fleet.workers.model.rowCount() == 3)  # type: ignore[union-attr]
    room.undo_last()
    await until("two workers", lambda: next(iter(room.store.pools.values()))["size"] == 2)


async def a_pool_is_paused_from_the_palette_and_that_is_undone(room: ControlRoom) -> None:
    pools = room.store.pools
    (name,) = pools
    entry = next(entry for entry in room.handlers.entries() if entry.name == "pool.pause")
    assert entry.enabled
    assert entry.detail == name, "it says what would be paused"
    room.handlers.choose(entry)
    shown = (b for b in room.window.findChildren(QMessageBox) if b.objectName() == "confirm")
    box = next(b for b in shown if b.isVisible())
    assert "wait until it is resumed" in box.informativeText()
    click(box.findChild(QPushButton, "confirm-do"))
    await until("the pool is paused", lambda: pools[name]["state"] == "paused")
    await until(
        "only what fits is offered",
        room.window.actions_by_name["pool.resume"].isEnabled,
    )
    assert not room.window.actions_by_name["pool.pause"].isEnabled()
    room.undo_last()
    await until("the pool serves", lambda: pools[name]["state"] == "serving")


async def a_worker_is_inspected_with_its_past(room: ControlRoom) -> None:
    assert room.furniture is not None
    key = next(row["id"] for row in room.store.workers.values() if row["state"] != "starting")
    assert room.handlers.go_to_row("worker", key)
    panel = room.furniture.inspector.worker
    await until("the engine told of its past", panel.note.isHidden)
    await until("its life has a beginning", lambda: panel.steps.rowCount() >= 2)
    assert panel.steps.index(0, 0).data() == "starting"
    await until("its memory is drawn", lambda: "resident" in panel.chart.accessibleDescription())


def test_a_recording_is_made_in_the_dock_and_opens_in_the_window(
    qapp: QApplication, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with opened(qapp, tmp_path) as room:
            await live(room)
            file = await a_recording_is_started_and_stopped(room, tmp_path)
            await a_recording_is_removed(room)
        given = replace(parse([str(file)]), data_dir=tmp_path / "empty", theme="dark")
        async with opened_as(qapp, tmp_path, given) as room:
            await live(room)
            await a_recording_shows_what_was(room)
            await a_recording_refuses_changes(room)

    run(scenario())


async def a_recording_is_started_and_stopped(room: ControlRoom, folder: Path) -> Path:
    assert room.furniture is not None
    dock, store = room.furniture.incidents, room.store
    room.window.show_dock("incidents", True)
    await until("the survey runs", lambda: any(m["done"] > 3 for m in store.missions.values()))
    click(dock.buttons["start"])
    await until("it records", lambda: store.recordings)
    row = next(iter(store.recordings.values()))
    assert row["state"] == "recording"
    done = sum(m["done"] for m in store.missions.values())
    await until("work goes on", lambda: sum(m["done"] for m in store.missions.values()) > done + 20)
    await until("the dock offers its end", dock.buttons["stop"].isEnabled)
    click(dock.buttons["stop"])
    await until("it is whole", lambda: store.recordings[row["name"]]["state"] == "done")
    kept = Path(row["path"])
    dock.panel.table.select_row(0)
    await until("it can be opened", dock.buttons["open"].isEnabled)
    return copied(kept, folder / "looked-at.citadel")


def copied(kept: Path, copy: Path) -> Path:
    copy.write_bytes(kept.read_bytes())
    return copy


async def a_recording_is_removed(room: ControlRoom) -> None:
    assert room.furniture is not None
    dock = room.furniture.incidents
    path = Path(next(iter(room.store.recordings.values()))["path"])
    click(dock.buttons["remove"])
    box = dock.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    click(box.findChild(QPushButton, "confirm-do"))
    await until("it is gone", lambda: not room.store.recordings)
    assert not there(path)


def there(path: Path) -> bool:
    return path.exists()


async def a_recording_shows_what_was(room: ControlRoom) -> None:
    assert room.furniture is not None
    store, connection = room.store, room.store.connection
    info = connection.info
    assert info is not None
    assert info.recording
    assert connection_text(connection) == f"recording {info.recording}"
    assert "recorded " in connection_tip(connection)
    await until("missions are there", lambda: store.missions)
    await until("audit is there", lambda: store.audit.total)
    await until("events are there", lambda: len(store.events))
    await until("spans are there", lambda: store.generation["span"])
    assert room.now_ns() == info.recording_until_unix_nanos
    await until(
        "latencies of its last minute are there",
        lambda: (
            store.latency.percentile(
                "citadel.command.duration", room.now_ns() - 60_000_000_000, room.now_ns(), 0.99
            )
            is not None
        ),
    )
    await until("the chip says so", lambda: "recording" in room.window.top.chip.text())


async def a_recording_refuses_changes(room: ControlRoom) -> None:
    assert room.furniture is not None
    room.furniture.incidents.start()
    await until("it is refused", lambda: any(n.level == "error" for n in room.notices.log))
    (notice,) = [n for n in room.notices.log if n.level == "error"]
    assert "nothing can be done in it, only looked at" in notice.text
    assert notice.remedy == "Connect to a running engine"


def test_a_killed_engine_is_told_and_another_takes_its_place(
    qapp: QApplication, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with opened(qapp, tmp_path) as room:
            await live(room)
            info = room.store.connection.info
            assert info is not None
            os.kill(info.pid, signal.SIGKILL)
            await until("the window says so", lambda: room.store.connection.state == "reconnecting")
            assert room.window.curtain.isVisible()
            assert room.store.connection.last_message_ns
            assert not room.window.actions_by_name["mission.start"].isEnabled()
            assert any("went away" in notice.text for notice in room.notices.log)
            await until("another engine serves", lambda: room.store.connection.live)
            assert room.store.connection.instance_id != info.instance_id
            assert not room.window.curtain.isVisible()
            assert any("Reconnected" in notice.text for notice in room.notices.log)

    run(scenario())


class Wire:
    """A cable between window and engine that can be cut and mended."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.address = ""

    async def mend(self) -> None:
        port = int(self.address.rpartition(":")[2]) if self.address else 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._writers |= {writer, far_writer}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, far_writer), name="to the engine")
            group.create_task(self._copy(far_reader, writer), name="to the window")

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)


def test_a_cut_wire_is_told_and_the_stream_resumes_where_it_broke(
    qapp: QApplication, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            LocalEngine(data_dir=tmp_path / "remote") as engine,
            contextlib.AsyncExitStack() as stack,
        ):
            wire = Wire(engine.address)
            await wire.mend()
            stack.push_async_callback(wire.cut)
            target = Target(mode="remote", address=wire.address, token=engine.token)
            async with opened(qapp, tmp_path, target) as room:
                await live(room)
                async with connect(engine.address, token=engine.token) as client:
                    await client.missions.start("survey", loop=True, rate=20)
                    await until("events come", lambda: room.store.missions)
                    oldest = room.store.events[0]
                    await wire.cut()
                    await until(
                        "the window says so", lambda: room.store.connection.state == "reconnecting"
                    )
                    assert room.window.curtain.isVisible()
                    await client.pools.resize("python", 3)
                    spans = room.store.generation["span"]
                    await wire.mend()
                    room.handlers.reconnect()
                    await live(room)
                await until("what was missed arrives", lambda: len(room.store.workers) == 3)
                await until("spans flow", lambda: room.store.generation["span"] > spans)
                assert room.store.connection.instance_id == engine.instance_id
                assert room.store.events[0] is oldest, "a new snapshot is no resumption"

    run(scenario())


def test_someone_elses_change_is_a_conflict_and_not_overwritten_unseen(
    qapp: QApplication, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with LocalEngine(data_dir=tmp_path / "remote") as engine:
            target = Target(mode="remote", address=engine.address, token=engine.token)
            async with opened(qapp, tmp_path, target) as room:
                await live(room)
                assert room.furniture is not None
                dock = room.furniture.sampling
                await until("rules are shown", lambda: dock.cards)
                dock.cards[0].slider.setValue(stop_of(0.5))
                async with connect(engine.address, token=engine.token) as client:
                    policy = await client.sampling.get()
                    theirs = (*policy.rules, SamplingRule(id="theirs", name="x*", rate=0.0))
                    await client.sampling.apply(theirs, revision=policy.revision)
                await until("the conflict is shown", lambda: dock.draft.state == "conflict")
                assert "theirs" in dock.bar.status.text()
                assert not dock.bar.apply.isVisible()
                click(dock.bar.mine)
                click(dock.bar.apply)
                await until("mine is in force", lambda: dock.draft.state == "clean")
                assert [rule["id"] for rule in room.store.rules()][-1] != "theirs"
                assert room.store.rules()[0]["rate"] == 0.5

    run(scenario())


@pytest.mark.parametrize(
    ("change", "told"),
    [({"token": "wrong"}, "token"), ({"tls": True}, "TLS"), ({"address": "127.0.0.1:1"}, "")],
    ids=["wrong token", "TLS against plain text", "nobody there"],
)
def test_a_connection_that_fails_says_why_and_what_to_do(
    qapp: QApplication, run: Run, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    async def scenario() -> None:
        async with LocalEngine(data_dir=tmp_path / "remote") as engine:
            right = Target(mode="remote", address=engine.address, token=engine.token)
            async with opened(qapp, tmp_path, replace(right, **change)) as room:
                connection, curtain = room.store.connection, room.window.curtain
                await until("the error is shown", lambda: connection.error and curtain.isVisible())
                assert told.lower() in (connection.error + connection.remedy).lower()
                assert connection.remedy
                await until("with its remedy", lambda: curtain.remedy.text() == connection.remedy)
                assert room.link is not None
                room.link.connect(right)
                await live(room)
                assert not connection.error

    run(scenario())


def test_connecting_can_be_cancelled(qapp: QApplication, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        target = Target(mode="remote", address="127.0.0.1:1")
        async with opened(qapp, tmp_path, target) as room:
            await until("it tries", room.window.curtain.cancel.isVisible)
            click(room.window.curtain.cancel)
            assert room.store.connection.state == "idle"
            assert not room.window.curtain.cancel.isVisible()
            assert room.window.curtain.retry.isVisible()

    run(scenario())
