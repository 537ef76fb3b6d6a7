"""Addresses are checked before they are dialled; tokens stay out of settings and reprs."""

import pytest
from PySide6.QtCore import QSettings

from app import targets
from app.targets import Target, check_address


@pytest.mark.parametrize("good", ["127.0.0.1:7431", "engine.example:1", "[::1]:7431"])
def test_good_addresses(good: str) -> None:
    assert check_address(good) == ""


@pytest.mark.parametrize("bad", ["", "host", ":7431", "host:", "host:0", "host:70000", "::1:7431"])
def test_bad_addresses_say_what_is_wrong(bad: str) -> None:
    assert check_address(bad)


def test_a_token_is_in_no_repr_and_no_settings(settings: QSettings) -> None:
    target = Target(mode="remote", address="h:1", token="secret")
    assert "secret" not in repr(target)
    targets.remember(settings, target, keep_token=False)
    assert targets.recent(settings) == ["h:1"]
    assert "secret" not in str([settings.value(key) for key in settings.allKeys()])


def test_recent_addresses_are_few_and_newest_first(settings: QSettings) -> None:
    for number in (*range(1, 12), 5):
        targets.remember(settings, Target(mode="remote", address=f"h:{number}"), keep_token=False)
    found = targets.recent(settings)
    assert found[0] == "h:5"
    assert len(found) == targets.RECENT_KEPT
    assert len(set(found)) == len(found)
