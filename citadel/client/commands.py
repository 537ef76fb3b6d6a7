"""What goes with a command besides its tool and arguments, and the values on either side of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from citadel import telemetry, values
from citadel.errors import InvalidRequest
from citadel.vocabulary import Affinity, Priority
from citadel.wire.messages import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """How commands run; what is not given is the pool's own."""

    deadline: float = 0.0
    """Seconds until it is given up, queueing included; 0: the pool's default."""
    session: str = ""
    """Commands with the same key see the same variables, and go to one worker."""
    affinity: Affinity | None = None
    """What happens when that worker is busy or dies; None: hint."""
    priority: Priority | None = None
    """None: by the mission's class."""
    mission: str = ""
    mission_class: str = ""

    def command(self, pool: str, tool: str, arguments: Mapping[str, Any], id_: str = "") -> Command:
        """A command with these options.

        Raises:
            InvalidRequest: an argument cannot be sent.
        """
        return Command(
            id=id_,
            pool=pool,
            tool=tool,
            arguments=packed_arguments(arguments),
            deadline_seconds=self.deadline,
            mission=self.mission,
            mission_class=self.mission_class,
            session=self.session,
            affinity=self.affinity or "",
            priority=self.priority or "",
            **telemetry.headers(),
        )


def packed_arguments(arguments: Mapping[str, Any]) -> bytes:
    """Keyword arguments as the wire has them.

    Raises:
        InvalidRequest: a value cannot be sent.
    """
    return packed(dict(arguments), "the arguments")


def packed(value: Any, what: str) -> bytes:
    """A value as the wire has it: msgpack, with arrays and tables beside (citadel.values).

    Raises:
        InvalidRequest: it cannot be sent; `what` says what it was.
    """
    try:
        return msgpack.packb(value) or b""
    except TypeError:  # it holds more than msgpack's own kinds
        pass
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"{what} cannot be sent: {error}") from error
    try:
        return values.pack(value)
    except InvalidRequest as error:
        reason = error.message.removeprefix("the value cannot be sent: ")
        raise InvalidRequest(f"{what} cannot be sent: {reason}", remedy=error.remedy) from error


def unpacked(data: bytes) -> Any:
    """The value that a tool gave.

    Raises:
        WireError: the bytes are none.
    """
    return values.unpack(data)
