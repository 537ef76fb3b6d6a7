"""Both themes hold the same tokens, are legible, and tell states by more than colour."""

import itertools
from typing import get_args

import pytest

from app.theme import SHAPES, Theme, contrast, load, mix, shape
from citadel.vocabulary import (
    DECISIONS,
    MISSION_STATES,
    PRIORITIES,
    SENTINEL_STATES,
    SEVERITIES,
    WORKER_STATES,
    BreakerState,
    ExporterState,
    PoolState,
)

TEXT, MARK = 4.5, 3.0
POOL_STATES: tuple[str, ...] = get_args(PoolState)
BREAKERS = tuple(f"breaker_{state}" for state in get_args(BreakerState))
POISON = ("counted", "quarantined")
EXPORTERS: tuple[str, ...] = get_args(ExporterState)
RECORDINGS = ("recording", "done", "failed")
SURFACES = ("window", "panel", "raised", "sunken", "hover", "selected")


@pytest.fixture(params=["dark", "light"])
def theme(request: pytest.FixtureRequest) -> Theme:
    return load(request.param)


def tokens(theme: Theme, section: str) -> list[str]:
    return [token for token in theme.colors if token.startswith(section + ".")]


def test_both_have_the_same_tokens() -> None:
    assert set(load("dark").colors) == set(load("light").colors)


def test_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("text", ["primary", "secondary", "muted"])
@pytest.mark.parametrize("surface", SURFACES)
def test_text_is_legible_on_every_surface(theme: Theme, text: str, surface: str) -> None:
    ratio = contrast(theme.color(f"text.{text}"), theme.color(f"surface.{surface}"))
    assert ratio >= TEXT, f"text.{text} on surface.{surface}: {ratio:.2f}"


def test_text_on_accent_and_on_states_is_legible(theme: Theme) -> None:
    for accent in ("accent.base", "accent.hover"):
        assert contrast(theme.color("text.on_accent"), theme.color(accent)) >= TEXT
    for token in tokens(theme, "state") + tokens(theme, "decision"):
        assert contrast(theme.color("text.on_state"), theme.color(token)) >= TEXT, token


@pytest.mark.parametrize(
    "section", ["state", "decision", "severity", "priority", "source", "series", "accent"]
)
def test_marks_stand_out(theme: Theme, section: str) -> None:
    for token in tokens(theme, section):
        if token == "accent.muted":
            continue
        for surface in SURFACES:
            ratio = contrast(theme.color(token), theme.color(f"surface.{surface}"))
            assert ratio >= MARK, f"{token} on surface.{surface}: {ratio:.2f}"


def test_controls_and_focus_stand_out(theme: Theme) -> None:
    for line in ("line.control", "line.focus"):
        for surface in ("window", "panel", "raised", "sunken"):
            assert contrast(theme.color(line), theme.color(f"surface.{surface}")) >= MARK


def test_heat_rises_evenly_in_lightness(theme: Theme) -> None:
    ratios = [contrast(theme.heat()[0], color) for color in theme.heat()]
    assert ratios == sorted(ratios)
    assert all(b / a > 1.1 for a, b in itertools.pairwise(ratios))


@pytest.mark.parametrize(
    "states",
    [
        WORKER_STATES,
        SENTINEL_STATES,
        DECISIONS,
        SEVERITIES,
        MISSION_STATES,
        POOL_STATES,
        BREAKERS,
        POISON,
        EXPORTERS,
        RECORDINGS,
    ],
    ids=lambda states: states[0],
)
def test_states_of_a_kind_differ_in_shape(states: tuple[str, ...]) -> None:
    assert len({shape(state) for state in states}) == len(states)


def test_every_state_has_a_colour_and_a_shape(theme: Theme) -> None:
    shown = (*WORKER_STATES, *SENTINEL_STATES, *MISSION_STATES, *POOL_STATES, *BREAKERS, *POISON)
    for state in (*shown, *EXPORTERS, *RECORDINGS, "open"):
        assert f"state.{state}" in theme.colors
        assert state in SHAPES
    for priority in PRIORITIES:
        assert theme.priority(priority)
    for decision in DECISIONS:
        assert f"decision.{decision}" in theme.colors


def test_an_unknown_state_is_drawn_as_stopped(theme: Theme) -> None:
    assert theme.state("from the future") == theme.color("state.stopped")


def test_mix() -> None:
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
    assert mix("#102030", "#ffffff", 0) == "#102030"
