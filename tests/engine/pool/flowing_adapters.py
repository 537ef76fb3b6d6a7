"""An adapter whose streams and callbacks carry large values. Imported by the workers."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import citadel
from citadel import values


class Flowing(citadel.Adapter):
    thread_safe = True

    def setup(self) -> None:
        self.kept: list[Any] = []

    @citadel.tool
    def plain(self, value: Any = None) -> Any:
        return value

    @citadel.tool
    def about(self, value: Any) -> list[Any]:
        return [type(value).__name__, bool(value.flags.owndata), float(value.sum())]

    @citadel.tool
    def arrays(self, upto: int, items: int) -> Iterator[Any]:
        for number in range(upto):
            yield np.full(items, float(number))

    @citadel.tool
    def in_place(self, upto: int, items: int) -> Iterator[Any]:
        for number in range(upto):
            made = values.empty(items)
            made.fill(float(number))
            yield made

    @citadel.tool
    async def arrays_async(self, upto: int, items: int) -> AsyncIterator[Any]:
        for number in range(upto):
            yield np.full(items, float(number))

    @citadel.tool
    def sums(self, values: Iterator[Any]) -> Iterator[list[Any]]:
        for value in values:
            yield [float(value.sum()), bool(value.flags.owndata)]

    @citadel.tool
    def first_of(self, values: Iterator[Any]) -> float:
        return float(next(values).sum())

    @citadel.tool
    def keeps(self, values: Iterator[Any]) -> int:
        self.kept += values
        return len(self.kept)

    @citadel.tool
    def forget(self) -> None:
        self.kept.clear()

    @citadel.tool
    def calls(self, pool: str, tool: str, items: int) -> Any:
        """What another tool makes of an array."""
        return citadel.call(pool, tool, value=np.ones(items))

    @citadel.tool
    async def calls_async(self, pool: str, tool: str, items: int) -> Any:
        return await citadel.call_async(pool, tool, value=np.ones(items))

    @citadel.tool
    def sum_of_call(self, pool: str, items: int) -> list[Any]:
        """Whether what a callback returns lies in shared memory."""
        found = citadel.call(pool, "plain", value=np.ones(items))
        return [float(found.sum()), bool(found.flags.owndata), bool(found.flags.writeable)]

    @citadel.tool
    def calls_slowly(self, pool: str, items: int) -> Any:
        return citadel.call(pool, "slow", value=np.ones(items))

    @citadel.tool
    def slow(self, value: Any) -> Any:
        time.sleep(60)

    @citadel.tool
    def quickly(self, upto: int) -> Iterator[int]:
        yield from range(upto)

    @citadel.tool
    def hurries_then_waits(self, upto: int, file: str) -> Iterator[int]:
        """Some that are made quickly, and no more until there is a file."""
        yield from range(upto)
        while not Path(file).exists():
            time.sleep(0.001)
        yield upto

    @citadel.tool
    async def hurries_then_waits_async(self, upto: int, file: str) -> AsyncIterator[int]:
        for number in range(upto):
            yield number
        go = Path(file)
        while not os.access(go, os.F_OK):
            await asyncio.sleep(0.001)
        yield upto
