"""Errors as a part of a message: where one of many commands fails, and the call goes on."""

from __future__ import annotations

from citadel import errors
from citadel.errors import CitadelError
from citadel.wire.messages import CommandError


def to_wire(error: CitadelError) -> CommandError:
    """An error of the tree as a message."""
    return CommandError(
        kind=type(error).__name__,
        message=error.message,
        subject=error.subject,
        remedy=error.remedy,
        details=error.details,
    )


def from_wire(said: CommandError) -> CitadelError:
    """The error that the other side meant; of an unknown kind it is an `EngineError`."""
    return class_of(said.kind)(
        said.message, subject=said.subject, remedy=said.remedy, details=said.details
    )


def class_of(kind: str) -> type[CitadelError]:
    """The class of the tree with that name; `EngineError` where there is none."""
    found = getattr(errors, kind, errors.EngineError)
    if not (isinstance(found, type) and issubclass(found, CitadelError)):
        return errors.EngineError
    return found
