from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from engine.telemetry.store import SpanStore


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., SpanStore]]:
    """Opens span stores; closes them in the end."""
    stores: list[SpanStore] = []

    def make(path: Path | None = None, **options: object) -> SpanStore:
        stores.append(SpanStore(path or tmp_path / "spans", **options))  # type: ignore[arg-type]
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
async def store(opened: Callable[..., SpanStore]) -> AsyncIterator[SpanStore]:
    yield opened()
    await asyncio.sleep(0)
