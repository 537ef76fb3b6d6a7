"""The window: perspectives, docks and their layout, keys, names for screen readers, themes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import shiboken6
from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTextBrowser,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app import furniture, style
from app.actions import ACTIONS, DOCKS, PERSPECTIVES, Entry
from app.clock import RoomClock
from app.commands import RecordingSink
from app.furniture import Furniture
from app.layout import VERSION
from app.notices import Notice, Notices
from app.store import FleetStore
from app.theme import Theme, load
from app.views.palette import CommandPalette
from app.views.window import MainWindow
from citadel.errors import CommandFailed

Tables = Callable[..., dict]


@dataclass
class Made:
    window: MainWindow
    furniture: Furniture
    store: FleetStore
    clock: RoomClock
    notices: Notices
    done: list[str]

    def end(self) -> None:
        """Closes and deletes at once: windows that linger are styled again with each theme."""
        self.window.close()
        shiboken6.delete(self.window)


def build(theme: Theme, settings: QSettings) -> Made:
    store, notices, done = FleetStore(), Notices(), list[str]()
    clock = RoomClock(store)
    window = MainWindow(store, clock, notices, theme, settings)
    made = furniture.build(store, theme, RecordingSink())
    window.bind({action.name: lambda name=action.name: done.append(name) for action in ACTIONS})
    window.furnish(made.views(), made.docks())
    return Made(window, made, store, clock, notices, done)


@pytest.fixture
def made(qtbot: QtBot, theme: Theme, settings: QSettings) -> Iterator[Made]:
    found = build(theme, settings)
    found.window.show()
    yield found
    found.end()


def visible(made: Made) -> set[str]:
    return {name for name, dock in made.window.docks.items() if not dock.isHidden()}


def test_the_rail_shows_what_is_built_and_nothing_else(made: Made) -> None:
    names = [button.text() for button in made.window.rail.findChildren(QAbstractButton)]
    assert names == ["Bridge", "Fleet", "Cinema", "Defence"]


@pytest.mark.parametrize("perspective", [p.name for p in PERSPECTIVES])
def test_each_perspective_is_drawn(made: Made, perspective: str) -> None:
    made.window.go(perspective)
    assert made.window.current() is made.furniture.views()[perspective]
    assert made.window.current().isVisible()
    assert not made.window.grab().isNull()


def test_a_perspective_keeps_its_own_docks(made: Made) -> None:
    made.window.go("bridge")
    made.window.show_dock("audit", False)
    made.window.show_dock("inspector", False)
    before = visible(made)
    made.window.go("cinema")
    assert visible(made) != before
    made.window.go("bridge")
    assert visible(made) == before


def test_the_layout_is_kept_for_the_next_time(
    qtbot: QtBot, theme: Theme, settings: QSettings, made: Made
) -> None:
    made.window.go("fleet")
    made.window.show_dock("events", False)
    made.window.close()
    again = build(theme, settings)
    again.window.show()
    assert again.window.layout_.perspective == "fleet"
    assert "events" not in visible(again)
    again.end()


@pytest.mark.parametrize("garbage", [QByteArray(b"garbage"), "text", 7])
def test_a_layout_that_makes_no_sense_falls_back_to_the_default(
    qtbot: QtBot, theme: Theme, settings: QSettings, garbage: object
) -> None:
    settings.setValue(f"layout/{VERSION}/bridge", garbage)
    settings.setValue("layout/geometry", garbage)
    settings.setValue("layout/perspective", "from the future")
    found = build(theme, settings)
    found.window.show()
    assert found.window.layout_.perspective == "bridge"
    assert visible(found) == set(DOCKS)
    found.end()


def test_a_layout_can_be_reset(made: Made) -> None:
    made.window.go("bridge")
    for name in DOCKS:
        made.window.show_dock(name, False)
    made.window.layout_.reset()
    assert visible(made) == set(DOCKS)


def test_docks_can_float_and_come_back(made: Made) -> None:
    dock = made.window.docks["sampling"]
    dock.setFloating(True)
    assert dock.isFloating()
    made.window.layout_.reset()
    assert not dock.isFloating()


def test_every_action_has_a_handler_a_menu_and_its_key(made: Made) -> None:
    for action in ACTIONS:
        found = made.window.actions_by_name[action.name]
        found.trigger()
        assert found.shortcut().toString() == action.key
    assert made.done == [action.name for action in ACTIONS]


def test_space_freezes_but_not_where_it_types_or_presses(made: Made, qtbot: QtBot) -> None:
    window = made.window
    window.go("fleet")
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    fleet = made.furniture.fleet
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert made.done == ["clock.freeze"]
    fleet.workers.filter.setFocus()
    qtbot.keyClick(fleet.workers.filter, Qt.Key.Key_Space)
    assert fleet.workers.filter.text() == " "
    assert made.done == ["clock.freeze"]
    button = window.rail.findChildren(QAbstractButton)[0]
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert made.window.layout_.perspective == "bridge"
    assert made.done == ["clock.freeze"]


def test_every_control_has_a_name_for_screen_readers(made: Made) -> None:
    kinds = (
        QAbstractButton,
        QAbstractItemView,
        QAbstractSlider,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QPlainTextEdit,
        QTextBrowser,
    )
    nameless = [
        f"{type(widget).__name__} in {type(widget.parent()).__name__}"
        for perspective in PERSPECTIVES
        for widget in _shown(made, perspective.name)
        if isinstance(widget, kinds)
        and not isinstance(widget, QScrollBar)
        and not widget.accessibleName()
        and not (isinstance(widget, QAbstractButton) and widget.text())
        and not _inner(widget)
    ]
    assert nameless == []


def _shown(made: Made, perspective: str) -> list[QWidget]:
    made.window.go(perspective)
    return [widget for widget in made.window.findChildren(QWidget) if widget.isVisible()]


def _inner(widget: QWidget) -> bool:
    """Parts that Qt makes itself: a spin box's line, a view's headers, a tab bar's scrollers."""
    parent = widget.parent()
    while isinstance(parent, QWidget) and not isinstance(parent, QDockWidget):
        inside = (QAbstractSpinBox, QComboBox, QAbstractItemView, QLineEdit)
        if isinstance(parent, inside) or type(parent).__name__ == "QTabBar":
            return True
        parent = parent.parent()
    return widget.objectName().startswith("qt_")


def test_the_focus_can_be_seen(made: Made, qtbot: QtBot) -> None:
    window = made.window
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    button = window.rail.findChildren(QAbstractButton)[1]
    before = _pixels(button)
    button.setFocus()
    assert _pixels(button) != before


def test_themes_switch_while_it_runs(
    made: Made, qtbot: QtBot, qapp: QApplication, theme: Theme
) -> None:
    light = load("light")
    try:
        style.apply(qapp, light)
        made.window.set_theme(light)
        for view in made.furniture.all():
            view.set_theme(light)
        for perspective in PERSPECTIVES:
            made.window.go(perspective.name)
            assert _mean(made.window) > 200, f"{perspective.name} is still dark"
    finally:
        style.apply(qapp, theme)


def _pixels(widget: QWidget) -> bytes:
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return bytes(image.constBits())


def _mean(widget: QWidget) -> float:
    small = widget.grab().toImage().scaled(64, 36)
    greys = [small.pixelColor(x, y).lightness() for x in range(64) for y in range(36)]
    return sum(greys) / len(greys)


def test_the_curtain_covers_what_is_not_live_and_dims_what_is_old(
    made: Made, tables: Tables
) -> None:
    window, connection = made.window, made.store.connection
    assert window.curtain.isVisible()
    connection.state = "connecting"
    window.curtain.refresh()
    assert window.curtain.cancel.isVisible()
    assert not window.curtain.retry.isVisible()
    connection.state, connection.last_message_ns = "live", 5_000_000_000
    window.curtain.refresh()
    assert not window.curtain.isVisible()
    connection.state, connection.error = "reconnecting", "connection refused"
    window.curtain.refresh()
    window.curtain.show_age(17_000_000_000)
    assert window.curtain.isVisible()
    assert "12 s old" in window.curtain.age.text()
    assert "connection refused" in window.curtain.text.text()
    assert window.curtain.retry.isVisible()


def test_an_error_is_shown_with_its_remedy_and_its_details_to_copy(
    made: Made, qtbot: QtBot, qapp: QApplication
) -> None:
    error = CommandFailed("division by zero", subject="python", details={"traceback": "line 3"})
    made.notices.fail("Run a tool", error)
    toast = made.window.toasts.toasts()[0]
    assert toast.isVisible()
    assert "division by zero" in toast.notice.text
    copy = next(b for b in toast.findChildren(QAbstractButton) if b.text() == "Copy details")
    qtbot.mouseClick(copy, Qt.MouseButton.LeftButton)
    text = qapp.clipboard().text()
    assert "CommandFailed: division by zero" in text
    assert "remedy: See the traceback" in text
    assert "line 3" in text


def test_notices_are_few_and_the_same_one_shows_once(made: Made) -> None:
    for number in range(9):
        made.notices.say(Notice(level="error", text=f"error {number % 7}"))
    texts = [toast.notice.text for toast in made.window.toasts.toasts()]
    assert texts == ["error 5", "error 6", "error 0", "error 1"]


def test_the_palette_finds_by_keys_and_does_what_is_chosen(
    made: Made, qtbot: QtBot, theme: Theme
) -> None:
    entries = [Entry(name="go.fleet", title="Go to Fleet"), Entry(name="x", title="Go nowhere")]
    palette = CommandPalette(made.window, lambda: entries, theme)
    palette.open()
    assert palette.isVisible()
    qtbot.keyClicks(palette.input, "fleet")
    with qtbot.waitSignal(palette.chosen) as signal:
        qtbot.keyClick(palette.input, Qt.Key.Key_Return)
    assert signal.args[0].name == "go.fleet"
    assert not palette.isVisible()
    palette.open()
    qtbot.keyClicks(palette.input, "zzz")
    with qtbot.waitSignal(palette.filter_asked) as signal:
        qtbot.keyClick(palette.input, Qt.Key.Key_Return)
    assert signal.args == ["zzz"]
    palette.open()
    qtbot.keyClick(palette.input, Qt.Key.Key_Escape)
    assert not palette.isVisible()


def test_the_top_bar_says_how_it_goes(made: Made, tables: Tables) -> None:
    store, top, second = made.store, made.window.top, 1_000_000_000
    store.connection.state = "live"
    for number in range(4):
        store.apply(tables("pool", {"name": "p", "state": "serving", "done": 100 * number}))
        top.refresh(number * second)
    assert top.rate.text() == "100 cmd/s"
    assert not top.strict.isVisible()
    store.apply(tables("defense", {"name": "defense", "strict": 1, "layers": "[]"}))
    top.refresh(5 * second)
    assert top.strict.isVisible()
    assert top.chip.text().strip() == "embedded"


def test_the_clock_bar_says_frozen_and_how_far_behind(made: Made, tables: Tables) -> None:
    bar = made.window.clock
    made.store.connection.state = "live"
    bar.refresh(5)
    assert bar.edge.text() == "LIVE"
    made.clock.freeze(5)
    made.clock.take(tables("event", *({"name": "worker.lost"} for _ in range(1200))), 6)
    bar.refresh(5)
    assert bar.edge.text() == "FROZEN"
    assert bar.behind.text() == "+1,200 behind"
    assert not bar.grab().isNull()
