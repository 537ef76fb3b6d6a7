"""One engine a data folder."""

from pathlib import Path

import pytest

from citadel.errors import BadConfig
from engine.data_folder import owned


def test_it_is_made_and_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        with owned(folder, spare=False) as ours:
            assert ours == folder
            assert folder.is_dir()


def test_a_second_engine_is_refused(tmp_path: Path) -> None:
    with (
        owned(tmp_path, spare=False),
        pytest.raises(BadConfig, match="another engine") as caught,
        owned(tmp_path, spare=False),
    ):
        pass
    assert "--data-dir" in caught.value.remedy


def test_a_second_embedded_engine_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    with owned(tmp_path, spare=True), owned(tmp_path, spare=True) as spare:
        assert spare != tmp_path
        assert spare.is_dir()
    assert not spare.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BadConfig, match="cannot be written"), owned(file / "x", spare=True):
        pass
