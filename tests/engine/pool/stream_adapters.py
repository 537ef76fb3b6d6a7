"""Adapters that stream, in every way."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from pathlib import Path

import citadel
from citadel import telemetry
from citadel.adapter import Adapter, tool


def note(log: str, text: str) -> None:
    """Readers see the old text or the new one, never a part."""
    if log:
        Path(log + ".new").write_text(text)
        Path(log + ".new").replace(log)


class Streamer(Adapter):
    @tool
    def plain(self, a: int = 1) -> int:
        return a

    @tool
    def counts(self, upto: int, log: str = "") -> Generator[int, None, str]:
        """Counts; the log has the last number that was made, and whether it was closed."""
        try:
            for number in range(upto):
                note(log, str(number))
                yield number
        finally:
            note(log, "closed")
        return "counted"

    @tool
    async def counts_async(self, upto: int, log: str = "") -> AsyncIterator[int]:
        try:
            for number in range(upto):
                await asyncio.sleep(0)
                note(log, str(number))
                yield number
        finally:
            await asyncio.sleep(0)
            note(log, "closed")

    @tool
    def sized(self, upto: int, size: int, log: str) -> Iterator[bytes]:
        for number in range(upto):
            note(log, str(number))
            yield bytes(size)

    @tool
    def total(self, items: Iterable[int], start: int = 0) -> int:
        return sum(items, start)

    @tool
    async def total_async(self, items: AsyncIterator[int]) -> int:
        found = 0
        async for item in items:
            found += item
        return found

    @tool
    def echo(self, items: Iterator[str], prefix: str = "") -> Iterator[str]:
        for item in items:
            yield prefix + item

    @tool
    async def echo_async(self, items: AsyncIterator[str]) -> AsyncIterator[str]:
        async for item in items:
            yield item

    @tool
    def first_of(self, items: Iterator[int]) -> int:
        return next(items)

    @tool
    def dies_after(self, upto: int) -> Iterator[int]:
        yield from range(upto)
        os._exit(5)

    @tool
    def fails_after(self, upto: int) -> Iterator[int]:
        yield from range(upto)
        raise ValueError("no more")

    @tool
    def unsendable(self) -> Iterator[object]:
        yield 1
        yield object()

    @tool
    def slowly(self, log: str) -> Iterator[int]:
        """Never waits for credit: a cancel is found between two items."""
        with contextlib.suppress(GeneratorExit):
            for number in range(1_000_000):
                note(log, str(number))
                yield number
                time.sleep(0.005)
        note(log, "closed")

    @tool
    def traced(self) -> Iterator[int]:
        with telemetry.span("inside"):
            yield 1
            yield 2

    @tool
    def left(self) -> float:
        return citadel.remaining()

    @tool
    async def waits_forever(self, log: str) -> None:
        try:
            note(log, "waits")
            await asyncio.sleep(3600)
        finally:
            note(log, "ended")

    @tool
    async def leaves_a_task(self) -> int:
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(asyncio.sleep(3600))
        return len(asyncio.all_tasks())


class ThreadedStreamer(Streamer):
    thread_safe = True
