"""Asks how many workers a pool is to have: a number, or a range in which it sizes itself."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QButtonGroup, QDialog, QGridLayout, QRadioButton, QSpinBox, QWidget

from app.commands import CommandSink
from app.poolcommands import Sizing, resize_consequence, resize_pool
from app.store import Row
from app.views.labels import button, column_of, label, row_of

MOST_WORKERS = 1024
WIDTH_PX = 440


class SizeDialog(QDialog):
    """Resizes a pool."""

    def __init__(self, parent: QWidget, pool: Row, sink: CommandSink) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Resize pool {pool['name']}")
        self.setMinimumWidth(WIDTH_PX)
        self._pool = pool
        self._sink = sink
        self._was = was = Sizing.of(pool)
        self.keeps = QRadioButton("Keep this many workers")
        self.ranges = QRadioButton("Size itself between")
        group = QButtonGroup(self)
        for choice in (self.keeps, self.ranges):
            group.addButton(choice)
            choice.toggled.connect(lambda _on: self._show())
        self.size_ = _spin("Workers", was.size, 0)
        self.least = _spin("Fewest workers", was.least if was.most else min(was.size, 1), 0)
        self.most = _spin("Most workers", was.most or max(2 * was.size, 2), 1)
        self.about = label("", "secondary", wrap=True, name="What it does")
        self.resize_ = button("Resize", self._send, "primary")
        self.resize_.setDefault(True)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.addWidget(self.keeps, 0, 0)
        grid.addWidget(self.size_, 0, 1)
        grid.addWidget(self.ranges, 1, 0)
        grid.addLayout(row_of(self.least, label("and", "muted"), self.most, 1), 1, 1)
        grid.setColumnStretch(1, 1)
        buttons = row_of(1, button("Cancel", self.reject), self.resize_)
        self.setLayout(column_of(grid, self.about, buttons, margin=24, spacing=16))
        for spin in (self.size_, self.least, self.most):
            spin.valueChanged.connect(lambda _value: self._show())
        (self.ranges if was.most else self.keeps).setChecked(True)

    def sizing(self) -> Sizing:
        """What is asked for."""
        if self.keeps.isChecked():
            return Sizing(size=self.size_.value())
        least, most = self.least.value(), self.most.value()
        size = min(max(self._was.size, least), most)
        return Sizing(size=size, least=least, most=most)

    def _show(self) -> None:
        keeps = self.keeps.isChecked()
        self.size_.setEnabled(keeps)
        self.least.setEnabled(not keeps)
        self.most.setEnabled(not keeps)
        wanted = self.sizing()
        ordered = keeps or wanted.least <= wanted.most
        self.about.setText(
            resize_consequence(wanted, self._was)
            if ordered
            else f"The fewest, {wanted.least:,}, are more than the most, {wanted.most:,}."
        )
        self.resize_.setEnabled(ordered and wanted != self._was)

    def _send(self) -> None:
        self._sink.send(resize_pool(self._pool["name"], self.sizing(), was=self._was))
        self.accept()


def _spin(name: str, value: int, least: int) -> QSpinBox:
    made = QSpinBox()
    made.setRange(least, MOST_WORKERS)
    made.setValue(value)
    made.setAccessibleName(name)
    made.setMinimumWidth(88)
    return made
