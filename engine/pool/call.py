"""A command inside the scheduler, and what the scheduler tells its shell to do. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from citadel.errors import CitadelError

if TYPE_CHECKING:
    from engine.pool.sessions import Session

URGENT, NORMAL, LATER = PRIORITIES = (0, 1, 2)
"""The more urgent goes first."""


class Place(Protocol):
    """Where a command waits."""

    def cancel(self, call: Call) -> None:
        """It does not wait there any more."""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A command inside the scheduler."""

    number: int
    """Never used again, whatever id its caller chose."""
    name: str
    tool: str
    deadline: float
    priority: int = NORMAL
    flow: str = ""
    """Its mission: what is shared fairly is shared among missions."""
    session: Session | None = None
    strict: bool = False
    """Only the session's own worker may run it."""
    worker: str = ""
    place: Place | None = None
    """Where it waits; None: a worker has it, or it is over."""
    called: bool = False
    """A running command called it, and waits for it."""
    expected: float = 0.0
    tick: int = 0
    returns: int = 0
    """How often it came back from a worker that died."""
    attempts: int = 1
    """How often it was tried, this time included."""
    copy: Call | None = None
    """The second copy that runs on another worker: the first answer wins."""
    of: Call | None = None
    """The command that this is the copy of."""
    probe: bool = False
    """It is the one that a half-open breaker tries."""
    fingerprint: str = ""
    """Of tool and arguments, when such a command killed a worker before."""
    watched: bool = False
    """Somebody wants to know how it ends: breaker, poison list or hedging."""
    refusal: CitadelError | None = None
    """Why its answer will not count."""


class Send(NamedTuple):
    """Give the command to the worker."""

    call: Call


class Recall(NamedTuple):
    """Tell the worker to drop or to stop the command; kill it after the grace if it did not."""

    call: Call
    patient: bool = False
    """Its answer came from elsewhere: the worker is killed only when the deadline has passed."""


class Fail(NamedTuple):
    """Tell the caller."""

    call: Call
    error: CitadelError


class Again(NamedTuple):
    """Say `resume` after so many seconds: the worker that ran it is lost, it is tried again."""

    call: Call
    seconds: float


class Farewell(NamedTuple):
    """Tell the worker that a session lives there no more."""

    worker: str
    key: str


Instruction = Send | Recall | Fail | Again | Farewell


@dataclass(slots=True)
class Counts:
    """Commands by how they ended; attempts and copies are no commands of their own."""

    submitted: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0
    shed: int = 0
    retried: int = 0
    hedged: int = 0

    @property
    def ended(self) -> int:
        """Commands that a worker answered, or that failed."""
        return self.done + self.failed
