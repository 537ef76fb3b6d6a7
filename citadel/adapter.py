"""What users write for pools: a class whose decorated methods are tools.

    class MyTools(citadel.Adapter):
        @citadel.tool
        def add(self, a: int, b: int = 0) -> int: ...

Light: a worker imports it without gRPC. Descriptions come from docstrings, schemas from type hints
(see `citadel.tools`). An adapter lives in one worker process and runs one command at a time, unless
it says that it is thread-safe. The functions are for tools: outside of a worker they say so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, overload

from citadel import _running, values
from citadel._running import Session
from citadel.errors import Cancelled, NotReady
from citadel.plain import plain
from citadel.tools import MARK, BoundTool, Mark, bound_tools

__all__ = [
    "Adapter",
    "BoundTool",
    "Session",
    "bound_tools",
    "call",
    "call_async",
    "cancelled",
    "check_cancelled",
    "plain",
    "remaining",
    "send",
    "session",
    "tool",
    "watch_cancellation",
]

F = TypeVar("F", bound=Callable[..., Any])


class Adapter:
    """Base of all adapters; each hook may be left out."""

    thread_safe: ClassVar[bool] = False
    """Whether several threads may run its tools at once: the profiles thread and free_threaded."""
    per_session: ClassVar[bool] = False
    """Whether each session gets an instance of its own, set up at the session's first command and
    torn down at its end. Commands without a session run on the worker's instance."""

    def setup(self) -> None:
        """Runs once in each worker, before its first command."""

    def teardown(self) -> None:
        """Runs when the worker ends in an orderly way."""

    def session_ended(self, key: str) -> None:
        """Runs when a session that had commands here has ended or gone elsewhere."""

    def health(self) -> bool:
        """Whether this worker can still serve."""
        return True

    def tools(self) -> dict[str, BoundTool]:
        """Its tools by name; asked once, after `setup`.

        Raises:
            AdapterFailed: there are none, two of one name, or a hint that makes no schema.
        """
        return bound_tools(self)


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *, name: str = ..., description: str = ..., idempotent: bool = ...
) -> Callable[[F], F]: ...
def tool(
    function: Any = None, /, *, name: str = "", description: str = "", idempotent: bool = False
) -> Any:
    """Makes a method of an adapter a tool.

    Args:
        function: the method, when the decorator is used without arguments.
        name: another name than the method's.
        description: instead of its docstring.
        idempotent: it may run twice without harm, so it is tried again when its worker dies.
    """

    def mark(method: F) -> F:
        text = description or inspect.getdoc(method) or ""
        setattr(method, MARK, Mark(name or method.__name__, text, idempotent))
        return method

    return mark(function) if function is not None else mark


# ── for tools ────────────────────────────────────────────────────────────────────────────────


def cancelled() -> bool:
    """Whether the running command was cancelled: long tools ask now and then, and end."""
    running = _running.running()
    return running is not None and running.cancelled()


def check_cancelled() -> None:
    """Raises Cancelled when the running command was."""
    if cancelled():
        raise Cancelled("the command was cancelled")


def remaining() -> float:
    """Seconds until the running command's deadline, never less than 0; infinite outside of one."""
    running = _running.running()
    return float("inf") if running is None else running.remaining()


def session() -> Session | None:
    """The session of the running command; None when it has none."""
    running = _running.running()
    return None if running is None else running.session()


def call(pool: str, tool: str, /, **arguments: Any) -> Any:
    """Runs another tool through the engine and waits for its result.

    It goes on in this command's trace and mission, and may take no longer than this command has. In
    an async tool, await `call_async`.

    Raises:
        CitadelError: what the tool raised, or why it was not run.
    """
    return _here().ask("tool", pool, tool, _parcel(arguments)).unpacked()


async def call_async(pool: str, tool: str, /, **arguments: Any) -> Any:
    """`call` for async tools: several may be awaited at once."""
    return (await _here().ask_async("tool", pool, tool, _parcel(arguments))).unpacked()


def send(sentinel: str, type: str, data: Any = None) -> int:  # noqa: A002 - the signal's own word
    """Puts a signal into a Sentinel's mailbox; how many wait there.

    Raises:
        CitadelError: there is no such Sentinel.
    """
    return (
        _here().ask("signal", sentinel, type, values.Parcel((values.pack(data, plain),))).unpacked()
    )


def _parcel(arguments: dict[str, Any]) -> values.Parcel:
    return values.pack_parts(arguments, values.THRESHOLD_BYTES, plain)


def _here() -> _running.Running:
    running = _running.running()
    if running is None:
        raise NotReady(
            "this is no worker: there is no engine to ask",
            remedy="Call it from a tool that a pool runs",
        )
    return running


def watch_cancellation(poll: Callable[[], bool]) -> None:
    """Says how this process learns of a cancel, without a worker: for tests of tools."""
    _running.offer(_running.Polled(poll))
