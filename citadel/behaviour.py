"""What users write for Sentinels: a pure function from state and signal to state and directives.

    class Greeter(Behaviour[Count]):
        name = "greeter"

        def initial(self, options):
            return Count(0)

        def handle(self, state, signal, context):
            return Count(state.seen + 1), [Emit(to=signal.source, type="hello", data={})]

`handle` performs nothing: it returns what is to be done, and what came of it returns as a signal
(`command.done`, `command.failed`, `ask.done`, `ask.failed`) with the directive's `tag`. Its state
is a frozen dataclass, or another value that it never changes in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

S = TypeVar("S")

COMMAND_DONE = "command.done"
"""data: tag, value"""
COMMAND_FAILED = "command.failed"
"""data: tag, error (class name), message"""
ASK_DONE = "ask.done"
"""data: tag, text, provider, simulated"""
ASK_FAILED = "ask.failed"
"""data: tag, error, message"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A message between Sentinels; the fields are CloudEvents 1.0's, data as JSON values."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    source: str = ""
    subject: str = ""
    id: str = ""
    time_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where a behaviour runs."""

    sentinel: str
    mission: str
    now_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Run a tool on a pool."""

    pool: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tag: str = ""
    deadline_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask a chat model, through the guards."""

    prompt: str
    system: str = ""
    tag: str = ""
    max_tokens: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Send a signal. With `unit`, it begins a trace of its own, whose root span has that name."""

    to: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    subject: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Send a signal to oneself after some seconds."""

    seconds: float
    type: str
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """Start another Sentinel under the same supervisor."""

    id: str
    behaviour: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End a Sentinel; without an id, this one."""

    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """This Sentinel has done its work."""

    result: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """This Sentinel cannot go on: its supervisor decides."""

    message: str


Directive = RunCommand | Ask | Emit | Schedule | Spawn | Stop | Finish | Fail


class Behaviour(ABC, Generic[S]):
    """What a Sentinel does with a signal."""

    name: ClassVar[str] = ""

    @abstractmethod
    def initial(self, options: Mapping[str, Any]) -> S:
        """The first state; raises ValueError when the options make no sense."""

    @abstractmethod
    def handle(self, state: S, signal: Signal, context: Context) -> tuple[S, Sequence[Directive]]:
        """The next state, and what is to be done."""
