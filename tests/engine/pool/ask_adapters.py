"""Adapters whose tools call others, and send signals."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import citadel
from citadel.adapter import Adapter, check_cancelled, tool
from citadel.errors import CitadelError


class Caller(Adapter):
    @tool
    def value(self, a: int = 1) -> int:
        return a

    @tool
    def outer(self, pool: str, tool: str, arguments: dict[str, Any] | None = None) -> Any:
        return citadel.call(pool, tool, **(arguments or {}))

    @tool
    def catches(self, pool: str, tool: str, arguments: dict[str, Any] | None = None) -> Any:
        try:
            citadel.call(pool, tool, **(arguments or {}))
        except CitadelError as error:
            return [type(error).__name__, error.message, error.remedy, error.details]

    @tool
    async def gathers(self, pool: str, upto: int) -> list[int]:
        calls = (citadel.call_async(pool, "value", a=number) for number in range(upto))
        return await asyncio.gather(*calls)

    @tool
    def from_threads(self, pool: str, upto: int) -> list[int]:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda n=n: found.append(citadel.call(pool, "value", a=n)))
            for n in range(upto)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(found)

    @tool
    def nested(self, pool: str, depth: int) -> int:
        return 1 + citadel.call(pool, "nested", pool=pool, depth=depth - 1) if depth else 0

    @tool
    def meets(self, mine: str, other: str, pool: str) -> int:
        """Calls when the other one is about to call too."""
        Path(mine).touch()
        while not Path(other).exists():
            check_cancelled()
            time.sleep(0.005)
        return citadel.call(pool, "value", a=2)

    @tool
    def misnames(self) -> list[str]:
        """Names what it asks for by what is no text; says what it is told."""
        anything: Any = citadel
        asks = [
            lambda: anything.call(["q"], "value"),
            lambda: anything.call("q", {"a": 1}),
            lambda: anything.send([], 1),
        ]
        found: list[str] = []
        for ask in asks:
            try:
                ask()
            except CitadelError as error:
                found.append(type(error).__name__)
        return found

    @tool
    def raises(self) -> None:
        raise KeyError("nothing there")

    @tool
    def left(self) -> float:
        return citadel.remaining()

    @tool
    def key(self) -> str:
        session = citadel.session()
        return session.key if session else ""

    @tool
    def waits(self, started: str, until: str) -> str:
        Path(started).touch()
        while not Path(until).exists():
            check_cancelled()
            time.sleep(0.005)
        return "waited"

    @tool(idempotent=True)
    def first_waits(self, pool: str, mark: str = "", until: str = "") -> Any:
        """The one who makes the mark asks for what waits; others for what does not."""
        try:
            if mark:
                Path(mark).touch(exist_ok=False)
                return citadel.call(pool, "waits", started=f"{mark}.started", until=until)
        except FileExistsError:
            pass
        return citadel.call(pool, "value", a=2)

    @tool
    def perhaps(self, pool: str = "", started: str = "", until: str = "") -> str:
        """Short, unless it is told to wait for another."""
        return citadel.call(pool, "waits", started=started, until=until) if pool else "short"

    @tool
    def signals(self, to: str, kind: str, data: Any = None) -> int:
        return citadel.send(to, kind, data)


class ThreadedCaller(Caller):
    thread_safe = True
