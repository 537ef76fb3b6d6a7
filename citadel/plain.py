"""Results as values that msgpack carries. Light: imported by workers."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

_TEXTS = (date, time, timedelta, UUID, Decimal, Enum)


def plain(value: Any) -> Any:
    """For msgpack's `default` hook.

    Dataclasses and models become maps, sets become lists; what pydantic writes as text (dates,
    paths, UUIDs, decimals, enums) becomes that text.

    Raises:
        TypeError: names the type that cannot be sent.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, set | frozenset):
        return list(cast("set[Any]", value))
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, _TEXTS):
        return to_jsonable_python(value)
    kind: type[Any] = type(value)
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} cannot be sent")
