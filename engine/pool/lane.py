"""Runs one command at a time, from its CALL frame to its DONE or FAILED frame. Worker's process.

A worker of profile process has one lane, in its main thread; one of profile thread has several.
What a running command says to the engine and what it waits for goes through its lane's post.
"""

from __future__ import annotations

import errno
import inspect
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from citadel import telemetry
from citadel.adapter import Adapter
from citadel.errors import InvalidRequest, UnknownTool
from citadel.tools import BoundTool
from citadel.trace import SpanContext
from engine.pool import frames
from engine.pool.credit import WINDOW_BYTES, WINDOW_ITEMS, Giver
from engine.pool.hosting import Charge, told
from engine.pool.kept import Kept, Sessions
from engine.pool.packing import Packing
from engine.pool.talk import Post, Talk
from engine.pool.workspace import Workspace

_EXHAUSTED = (errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True, slots=True)
class Host:
    """What the lanes of one worker share."""

    charge: Charge
    adapter: Adapter
    tools: Mapping[str, BoundTool]
    sessions: Sessions
    workspace: Workspace


class Lane(Talk):
    """One command at a time. What the engine sends for it comes through `hear`."""

    def __init__(self, host: Host, post: Post) -> None:
        super().__init__(post, Packing(host.charge.max_result_bytes, host.workspace))
        self._host = host
        self._frame = post.frame
        self._before: list[bytes] = []

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def begin(self, call: list[Any]) -> None:
        """From now on it is this command's; where several threads are, under their lock."""
        if self._worn:
            self.forget()
        self._worn = call[5] is not None
        self.stopped = False
        self.number, self._deadline = call[1], call[4]

    def answer(self, call: list[Any], began: float) -> bytes:
        """Runs a command to its DONE or FAILED frame; frames that go before it are in front."""
        number, name, about = call[1], call[2], call[5]
        rows: list[tuple[Any, ...]] = []
        try:
            if about is None:
                value = self._run(call, self._host.tools)
            else:
                # The span ends before the frame is made, so that it is in the frame.
                with self._scope(call, rows):
                    value = self._attended(call)
            answer = [frames.DONE, number, time.perf_counter() - began, value]
            data = self._frame([*answer, rows] if rows else answer)
        except BaseException as error:  # noqa: BLE001 - a tool may raise anything; the caller gets it
            took = time.perf_counter() - began
            data = self._failed([frames.FAILED, number, took, *told(error, name)], rows)
            if reason := unfit(error):
                self._before.append(self._frame([frames.TAINTED, f"{name} {reason}"]))
        self.number = 0
        if self._lent:
            self.let_go()
        if self._before:
            data = b"".join((*self._before, data))
            self._before.clear()
        return data

    def close(self) -> None:
        """It runs no more."""
        if self._loop is not None:
            self._loop.close()

    def _failed(self, item: list[Any], rows: list[tuple[Any, ...]]) -> bytes:
        try:
            return self._frame([*item, rows])
        except Exception:  # noqa: BLE001 - its spans may have anything in them: it goes without
            return self._frame([*item, []])

    def _attended(self, call: list[Any]) -> bytes | list[Any]:
        """Runs a command that may belong to a session."""
        about = call[5]
        key = about.get(frames.SESSION)
        if not key:
            return self._run(call, self._host.tools)
        kept = self._host.sessions.enter(key, about.get(frames.VALUES))
        self._session = kept.session
        try:
            value = self._run(call, kept.tools)
        except BaseException:
            with suppress(Exception):  # what it raised first matters more
                self._note(kept)
            raise
        self._note(kept)
        return value

    def _note(self, kept: Kept) -> None:
        packed = kept.changed(self._host.charge.variables_bytes)
        if packed is not None:
            item = [frames.VARIABLES, kept.session.key, packed, self.number]
            self._before.append(self._frame(item))

    def _run(self, call: list[Any], tools: Mapping[str, BoundTool]) -> bytes | list[Any]:
        name = call[2]
        tool = tools.get(name)
        if tool is None:
            raise UnknownTool(
                f"pool {self._host.charge.pool} has no tool {name!r}; it has {', '.join(tools)}",
                subject=name,
            )
        arguments = self._packing.arguments(call)
        if tool.streams_out or tool.input is not None:
            result = self._stream(tool, arguments, call[5] or {})
        else:
            result = tool.run(arguments, self._awaited)
        parts = call[5] is not None and call[5].get(frames.PARTS, False)
        return self._packing.value(result, name, parts=parts)

    def _scope(
        self, call: list[Any], rows: list[tuple[Any, ...]]
    ) -> AbstractContextManager[telemetry.LocalSpan | None]:
        """The worker's span of a command whose trace is kept, and what it records."""
        _, _, name, _, _, about = call
        mission, mission_class, sentinel = about.get(frames.MISSION) or ("", "", "")
        charge = self._host.charge
        scope = telemetry.Scope(
            source="worker",
            service=charge.worker,
            pool=charge.pool,
            mission=mission,
            mission_class=mission_class,
            sentinel=sentinel,
            rows=rows,
        )
        packed = about.get(frames.TRACE)
        if packed:
            scope.kept = bool(packed[24])
        return telemetry.command(f"run {name}", packed and _context(packed), scope)

    def _awaited(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs an async tool to its end."""
        if self._loop is None:
            self._loop = self._post.loop()
        return self._loop.run(work, lambda: self.stopped)

    # ── streams ──────────────────────────────────────────────────────────────────────────────

    def _stream(self, tool: BoundTool, arguments: dict[str, Any], about: dict[str, Any]) -> Any:
        """Runs a tool that takes or gives a stream; what it returned."""
        if frames.WINDOW not in about:
            what = "gives" if tool.streams_out else "takes"
            raise InvalidRequest(
                f"tool {tool.name} {what} a stream: it is not to be run as a plain command",
                subject=tool.name,
                remedy="Stream it: client.pools.on(POOL).stream(TOOL), citadel pool call --stream",
            )
        self._window = Giver(*about[frames.WINDOW])
        self._parts, self._given = about.get(frames.PARTS, False), 0
        items: Iterator[Any] | AsyncIterator[Any] | None = None
        if tool.input is not None:
            items = self._items_async(tool) if tool.input.is_async else self._items(tool)
            if about.get(frames.INPUT):
                self._input_ended = False
                self._post.say([frames.TAKEN, self.number, WINDOW_ITEMS, WINDOW_BYTES])
        result = tool.open(arguments, items)
        if inspect.iscoroutine(result):
            result = self._awaited(result)
        if not tool.streams_out:
            return result
        if hasattr(result, "__aiter__"):
            return self._awaited(self._give_async(tool.name, result))
        return self._give(tool.name, iter(result))


def unfit(error: BaseException) -> str:
    """What an error says about the process: why it should be replaced; empty: nothing."""
    if isinstance(error, MemoryError):
        return "ran out of memory"
    if isinstance(error, SystemExit):
        return "asked the process to end"
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        return "ran out of file descriptors"
    return ""


def _context(packed: bytes) -> SpanContext:
    trace_id, span_id = int.from_bytes(packed[:16], "big"), int.from_bytes(packed[16:24], "big")
    return SpanContext(trace_id, span_id, trace_state=packed[25:].decode())
