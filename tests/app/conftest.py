"""Tables as the stream carries them, and widgets that end with their test."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from app import style
from app.commands import RecordingSink
from app.store import FleetStore
from app.theme import Theme, load
from citadel.wire.columns import Table, pack, unpack
from citadel.wire.topics import TOPICS

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves aside what Qt's offscreen platform says of every window."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support"))


def batch(topic: str, *given: Mapping[str, Any]) -> dict[str, Table]:
    """Rows of a topic as they come off the wire; what is not given is zero or empty."""
    columns = TOPICS[topic].columns
    rows = [
        [row.get(name, "" if kind == "str" else 0) for name, kind in columns.items()]
        for row in given
    ]
    return {topic: unpack(pack(topic, rows))}


@pytest.fixture
def tables() -> Callable[..., dict[str, Table]]:
    return batch


@pytest.fixture
def store() -> FleetStore:
    return FleetStore()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    chosen = load("dark")
    style.apply(qapp, chosen)
    return chosen


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
