"""The ledger corner: said in a line, in full on hover, and to screen readers."""

from pytestqt.qtbot import QtBot

from app.models.ledger import Ledger
from app.theme import Theme
from app.views.ledgercorner import LedgerCorner


def test_it_says_what_was_dropped_to_everyone(qtbot: QtBot, theme: Theme) -> None:
    corner = LedgerCorner("Events", theme)
    qtbot.addWidget(corner)
    before = corner.width()
    corner.show_ledger(Ledger(what="rows", received=9, kept=7, dropped={"too old": 2}))
    assert corner.accessibleName() == "Ledger of Events"
    assert corner.text == "9 in · 7 kept · 2 dropped"
    assert "Dropped, too old: 2" in corner.toolTip()
    assert "too old" in corner.accessibleDescription()
    assert corner.width() > before
    assert corner.grab().toImage().width()


def test_a_mark_alone_keeps_its_size(qtbot: QtBot, theme: Theme) -> None:
    corner = LedgerCorner("Queue depth", theme, mark_only=True)
    qtbot.addWidget(corner)
    before = corner.size()
    corner.show_ledger(Ledger(what="rows", received=9, kept=9))
    assert corner.size() == before
