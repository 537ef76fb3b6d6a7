"""What became of one request to a receiver. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from citadel.otlp.wire import fields

Verdict = Literal["accepted", "again", "refused"]
Fault = Literal[
    "",
    "connection",  # nobody answers there
    "timeout",
    "tls",
    "protocol",  # somebody answers, and speaks something else
    "unauthenticated",
    "forbidden",
    "not_found",
    "too_large",
    "busy",
    "environment",  # a header's variable is not set
    "other",
]
Signal = Literal["traces", "metrics", "logs"]
MAX_DETAIL = 300
"""Characters that are kept of what a receiver says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """accepted; again: the same may be tried later; refused: it would be refused again."""

    verdict: Verdict
    status: str
    """"200 OK", "UNAVAILABLE"."""
    detail: str = ""
    rejected: int = 0
    """Of an accepted request: rows that the receiver did not take (partial success)."""
    retry_after: float | None = None
    """Seconds that the receiver asks for."""
    fault: Fault = ""

    @property
    def error(self) -> str:
        """What to tell a person; "" when all is well."""
        if self.verdict == "accepted" and not self.rejected:
            return ""
        said = f"{self.status}: {self.detail}" if self.detail else self.status
        return f"{self.rejected} rejected: {said}" if self.rejected else said


class Transport(Protocol):
    """The way to a receiver. One thread sends; any may close."""

    def send(self, signal: str, data: bytes) -> Outcome:
        """Sends a request and waits for its answer; never raises for what goes wrong there."""
        ...

    def close(self) -> None:
        """Ends connections."""
        ...


def partial_success(data: bytes) -> tuple[int, str]:
    """Rows rejected, and why, from an Export…ServiceResponse: the same in all three signals."""
    rejected, why = 0, ""
    try:
        for number, value in fields(data):
            if number == 1 and isinstance(value, bytes):
                for inner, found in fields(value):
                    if inner == 1 and isinstance(found, int):
                        rejected = found if found < 2**63 else 0
                    elif inner == 2 and isinstance(found, bytes):
                        why = found.decode("utf-8", "replace")
    except ValueError:
        return 0, ""
    return rejected, why[:MAX_DETAIL]
