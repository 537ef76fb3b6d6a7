"""Opening a recording: a control room of its own, or why there is none."""

import sys
from pathlib import Path

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.notices import Notice
from app.opening import ask_file, open_recording


def test_a_file_opens_in_a_control_room_of_its_own(tmp_path: Path) -> None:
    file, said, begun = tmp_path / "a.citadel", list[Notice](), list[tuple[str, list[str]]]()
    file.write_bytes(b"x")

    def begin(program: str, arguments: list[str]) -> bool:
        begun.append((program, arguments))
        return True

    assert open_recording(file, said.append, begin)
    assert begun == [(sys.executable, ["-m", "app.main", str(file)])]
    assert said[-1].level == "done"


def test_a_file_that_is_elsewhere_says_what_to_do(tmp_path: Path) -> None:
    said: list[Notice] = []
    assert not open_recording(tmp_path / "none.citadel", said.append)
    assert "no file none.citadel on this machine" in said[-1].text
    assert said[-1].remedy


def test_a_control_room_that_does_not_begin_is_told(tmp_path: Path) -> None:
    file, said = tmp_path / "a.citadel", list[Notice]()
    file.write_bytes(b"x")
    assert not open_recording(file, said.append, lambda _program, _arguments: False)
    assert said[-1].level == "error"


def test_the_file_is_asked_for(qtbot: QtBot, tmp_path: Path) -> None:
    parent, chosen = QWidget(), list[Path]()
    qtbot.addWidget(parent)
    dialog = ask_file(parent, chosen.append)
    dialog.fileSelected.emit(str(tmp_path / "a.citadel"))
    assert chosen == [tmp_path / "a.citadel"]
    dialog.reject()
