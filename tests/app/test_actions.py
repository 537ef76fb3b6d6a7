"""The action table is whole, and the palette finds what one means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.actions import ACTIONS, MENUS, Entry, fuzzy, ranked
from citadel.resources import resource

ENTRIES = [Entry(name=a.name, title=a.title, detail=a.hint, words=a.words) for a in ACTIONS]


def test_names_and_keys_are_unique() -> None:
    names = [action.name for action in ACTIONS]
    keys = [action.key for action in ACTIONS if action.key]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)


def test_menus_and_icons_exist() -> None:
    for action in ACTIONS:
        assert action.menu in MENUS
        assert not action.icon or resource(f"icons/{action.icon}.svg").is_file()


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("fleet", "go.fleet"),
        ("gbr", "go.bridge"),
        ("strict", "defence.strict"),
        ("dark", "theme.dark"),
        ("night", "theme.dark"),
        ("remote", "engine.connect"),
        ("undo", "edit.undo"),
        ("start mission", "mission.start"),
        ("mission start", "mission.start"),
    ],
)
def test_the_best_fit_comes_first(query: str, name: str) -> None:
    assert ranked(query, ENTRIES)[0].name == name


def test_nothing_fits_nonsense() -> None:
    assert ranked("xqzv", ENTRIES) == []


def test_an_empty_query_shows_everything_in_order() -> None:
    assert list(ranked("", ENTRIES)) == ENTRIES[:50]


@given(st.text(max_size=12), st.text(max_size=30))
def test_a_text_fits_itself_and_scores_are_never_negative(query: str, text: str) -> None:
    assert fuzzy(query, text) >= 0
    assert fuzzy(text, text) > 0
