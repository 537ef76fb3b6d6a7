"""A pytest plugin: `@pytest.mark.emits("worker.lost", …)` fails a test whose recorders emit less.

It looks at every recorder and pulse of this process during the test: an event that was recorded, a
counter or a duration that grew, a gauge that a beat told. A test with the fixture `engine`, which
is another process, is judged by what that engine told since the test began.
tests/meta/test_catalogue_covered.py checks that the marks name the whole catalogue.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from citadel.testing import EngineUnderTest
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import SnapshotRequest
from engine.telemetry.catalogue import GAUGES
from engine.telemetry.measures import Measures
from engine.telemetry.pulse import Pulse
from engine.telemetry.recorder import Recorder

PATIENCE = 30.0


class Emissions:
    """What recorders and pulses of this process emit while a test runs."""

    def __init__(self) -> None:
        self._all: list[Measures] = []
        self._before: dict[tuple[int, str, object], float] = {}
        self.told: set[str] = set()
        """Names of events and gauges, and of totals that are not 0."""

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """From now on sees every recorder and pulse that is made."""
        made, event, beat = Measures.__init__, Recorder.event, Pulse.beat

        def init(measures: Measures) -> None:
            made(measures)
            self._all.append(measures)

        def say(recorder: Recorder, name: str, **about: Any) -> None:
            event(recorder, name, **about)
            self.told.add(name)

        def tell(pulse: Pulse) -> None:
            beat(pulse)
            self.told.update(name for name, _ in pulse.gauges)
            self.told.update(name for (name, _), value in pulse.totals.items() if value)

        patch.setattr(Measures, "__init__", init)
        patch.setattr(Recorder, "event", say)
        patch.setattr(Pulse, "beat", tell)

    def begin(self) -> None:
        """A test begins."""
        self.told.clear()
        self._before = self._figures()

    def end(self) -> set[str]:
        """A test has ended: the names of all that was emitted in it."""
        figures = self._figures()
        grown = {key[1] for key, value in figures.items() if value != self._before.get(key, 0.0)}
        return grown | self.told

    def _figures(self) -> dict[tuple[int, str, object], float]:
        """Counters, and how many durations there were, of every recorder."""
        figures: dict[tuple[int, str, object], float] = {}
        for number, measures in enumerate(self._all):
            for (name, labels), value in measures.counters.items():
                figures[number, name, labels] = value
            for (name, subject), histogram in measures.durations.items():
                figures[number, name, subject] = histogram.total
        return figures


EMISSIONS = Emissions()


async def _told_by(engine: EngineUnderTest, names: set[str], since_ns: int) -> set[str]:
    """Which of these an engine has told since then; waits for its next beats."""
    found: set[str] = set()
    request = SnapshotRequest(topics=("event", "counter", "latency"))
    async with engine.client() as client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not names <= found:
                    reply = await client.connection.call("Engine.Snapshot", request, traced=False)
                    for row in (row for batch in reply.batches for row in rows(unpack(batch))):
                        counted = row.get("value", 1.0) or row["name"] in GAUGES
                        if row["time_ns"] >= since_ns and counted:
                            found.add(row["name"])
                    await asyncio.sleep(0.1)
    return found


@pytest.fixture
def saw() -> Callable[[str], object]:
    """Says that the test has seen this emitted by an engine that it started itself."""
    return EMISSIONS.told.add


def pytest_configure(config: pytest.Config) -> None:
    """Registers the mark."""
    config.addinivalue_line("markers", "emits(*names): the test makes a recorder emit these")
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    EMISSIONS.install(patch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What the fixtures emit counts, too, up to the end of the test itself."""
    del item
    EMISSIONS.begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, None, None]:
    """Fails a test that passed and emitted less than it says."""
    began = time.time_ns()
    yield
    wanted = {name for mark in item.iter_markers("emits") for name in mark.args}
    missing = wanted - EMISSIONS.end() if wanted else set[str]()
    engine = item.funcargs.get("engine") if missing else None
    if isinstance(engine, EngineUnderTest):
        missing -= asyncio.run(_told_by(engine, missing, began))
    assert not missing, f"emitted nothing of {sorted(missing)}"
