from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.telemetry import sorted_log
from engine.telemetry.sorted_log import Records, SortedLog

numbers = st.integers(0, 2**64 - 1)


def records(rows: Iterable[tuple[int, ...]]) -> Records:
    return np.array(list(rows), np.uint64).reshape(-1, 4)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_log, "SEGMENT_RECORDS", 8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 5) | numbers, numbers, numbers, numbers), max_size=12),
        max_size=8,
    ),
    st.integers(0, 8),
)
def test_what_was_added_is_found_in_order_also_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[list[tuple[int, int, int, int]]],
    restart: int,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = SortedLog(folder, 10**6)
    logs = [log]
    expected: dict[int, list[tuple[int, ...]]] = {}
    for number, chunk in enumerate(chunks):
        if number == restart:  # as if it was killed: nobody closes it
            logs.append(log := SortedLog(folder, 10**6))
        log.append(records(chunk))
        for key, *rest in chunk:
            expected.setdefault(key, []).append(tuple(rest))
    assert len(log) == sum(map(len, chunks))
    for key, found in expected.items():
        assert log.find(key) == found
    assert log.find(2**63 + 12_345) == expected.get(2**63 + 12_345, [])
    for each in logs:
        each.close()


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    log = SortedLog(tmp_path, 20)
    for number in range(100):
        log.append(records([(number, 1, 2, 3)]))
    assert 12 <= len(log) <= 28
    assert log.retired
    assert not log.find(0)
    assert log.find(99) == [(1, 2, 3)]
    assert len(list(tmp_path.glob("*.segment"))) <= 3
    log.close()


def test_a_write_that_was_cut_short_is_no_record(tmp_path: Path) -> None:
    log = SortedLog(tmp_path, 100)
    log.append(records([(1, 1, 1, 1), (2, 2, 2, 2)]))
    log.close()
    journal = tmp_path / "journal"
    journal.write_bytes(journal.read_bytes()[:-5])
    again = SortedLog(tmp_path, 100)
    again.append(records([(3, 3, 3, 3)]))
    assert (again.find(1), again.find(2), again.find(3)) == ([(1, 1, 1)], [], [(3, 3, 3)])
    again.close()


def test_a_corrupt_segment_is_set_aside_and_the_rest_served(tmp_path: Path) -> None:
    log = SortedLog(tmp_path, 10**6)
    for number in range(24):
        log.append(records([(number, 1, 2, 3)]))
    log.close()
    first = min(tmp_path.glob("*.segment"))
    first.write_bytes(first.read_bytes()[:-3])
    again = SortedLog(tmp_path, 10**6)
    assert again.find(20) == [(1, 2, 3)]
    assert not again.find(0)
    assert list(tmp_path.glob("*.corrupt"))
    again.close()
