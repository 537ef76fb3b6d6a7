"""A waterfall of a size, and tables of spans."""

from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot

from app.models.waterfall import Waterfall
from app.theme import Theme
from app.views.cinema.lanes import Shown
from app.views.cinema.viewport import Viewport
from app.views.cinema.waterfall import WaterfallView
from citadel.wire.columns import Table

SIZE = (1_000, 500)
Opened = Callable[[Table], WaterfallView]


@pytest.fixture
def opened(qtbot: QtBot, theme: Theme) -> Opened:
    """Shows a table of spans."""

    def show(table: Table) -> WaterfallView:
        stretch = Viewport()
        view = WaterfallView(stretch, theme)
        view.stretch = stretch  # type: ignore[attr-defined]
        qtbot.addWidget(view)
        view.resize(*SIZE)
        view.show_trace(Shown("0" * 31 + "1", table, Waterfall(table)))
        return view

    return show
