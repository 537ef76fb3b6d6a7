"""Figures have units, sensible precision, and no false zeros."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ns"),
        (840e-9, "840 ns"),
        (3.14e-6, "3.1 µs"),
        (0.0381, "38 ms"),
        (2.44, "2.4 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (-0.5, "–500 ms"),
    ],
)
def test_durations(value: float, text: str) -> None:
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.1, "10 %"),
        (0.005, "0.5 %"),
        (0.00001, "< 0.01 %"),
        (0.99999, "> 99.9 %"),
        (0.333, "33.3 %"),
    ],
)
def test_shares(value: float, text: str) -> None:
    assert figures.share(value) == text


@given(st.floats(0, 1))
def test_only_nothing_is_0_and_only_all_is_100(value: float) -> None:
    assert (figures.share(value) == "0 %") == (value == 0)
    assert (figures.share(value) == "100 %") == (value == 1)


def test_counts_rates_and_sizes() -> None:
    assert figures.count(1204) == "1,204"
    assert figures.count(1_200_000) == "1.20 M"
    assert figures.rate(0.44) == "0.4/s"
    assert figures.rate(1204.4, " cmd/s") == "1,204 cmd/s"
    assert figures.bytes_(512) == "512 B"
    assert figures.bytes_(40_055_603) == "38.2 MiB"


def test_times() -> None:
    second = 1_000_000_000
    assert figures.ago(0, 5) == ""
    assert figures.ago(5 * second, 5 * second) == "now"
    assert figures.ago(second, 13 * second) == "12 s"
    assert figures.ago(second, 601 * second) == "10 min"
    assert figures.elapsed(751 * second) == "00:12:31"
    assert figures.moment(0) == ""
    assert figures.time_of_day(1_314_000_000)[-4:] == ".314"
