"""Between the dataclasses of `messages` and bytes on the wire. The one importer of generated code.

Each dataclass has the name and the fields of a protobuf message, so one plan a class, made once,
serves both ways. Unset message fields are None; repeated ones are tuples. Bad bytes raise
`WireError`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from citadel.errors import WireError
from citadel.wire import messages
from citadel.wire.v1 import (
    common_pb2,
    defense_pb2,
    engine_pb2,
    missions_pb2,
    pools_pb2,
    sampling_pb2,
    sentinels_pb2,
    traces_pb2,
)

WIRE_VERSION = 1
"""Two programs whose wire versions differ refuse each other."""

MAX_MESSAGE_BYTES = 16 * 2**20
"""The largest message that either side takes, in bytes."""

_MODULES = (
    common_pb2,
    engine_pb2,
    pools_pb2,
    sentinels_pb2,
    missions_pb2,
    traces_pb2,
    sampling_pb2,
    defense_pb2,
)

M = TypeVar("M")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC: where it is and what goes in and out."""

    service: str
    name: str
    request: type[Any]
    response: type[Any]
    streams: bool

    @property
    def path(self) -> str:
        """The path of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"


def encode(message: Any) -> bytes:
    """The bytes of a message dataclass."""
    return _to_protobuf(message).SerializeToString()


def decode(cls: type[M], data: bytes) -> M:
    """A message dataclass from bytes.

    Raises:
        WireError: the bytes are not such a message.
    """
    try:
        parsed = _protobuf_class(cls).FromString(data)
    except DecodeError as error:
        raise WireError(f"{len(data)} bytes are no {cls.__name__}: {error}") from error
    return cast("M", _from_protobuf(cls, parsed))


def message_classes() -> Mapping[str, type[Any]]:
    """Each message's dataclass by its name."""
    return MappingProxyType(
        {
            name: getattr(messages, name)
            for module in _MODULES
            for name in module.DESCRIPTOR.message_types_by_name
        }
    )


@cache
def methods() -> Mapping[str, Method]:
    """Each RPC by "Service.Method", as the protos declare them."""
    found: dict[str, Method] = {}
    for module in _MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in cast("ServiceDescriptor", service).methods:
                found[f"{service.name}.{method.name}"] = Method(
                    service=service.full_name,
                    name=method.name,
                    request=getattr(messages, method.input_type.name),
                    response=getattr(messages, method.output_type.name),
                    streams=method.server_streaming,
                )
    return MappingProxyType(found)


def service_names() -> tuple[str, ...]:
    """The full names of the services, for health and reflection."""
    return tuple(sorted({method.service for method in methods().values()}))


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    scalars: tuple[str, ...]
    singles: tuple[tuple[str, type[Any]], ...]
    repeated: tuple[str, ...]
    repeated_messages: tuple[tuple[str, type[Any]], ...]
    maps: tuple[str, ...]


@cache
def _protobuf_class(cls: type[Any]) -> Any:
    for module in _MODULES:
        if cls.__name__ in module.DESCRIPTOR.message_types_by_name:
            return getattr(module, cls.__name__)
    raise WireError(f"{cls.__name__} is no message of the wire")


@cache
def _plan(cls: type[Any]) -> _Plan:
    scalars: list[str] = []
    singles: list[tuple[str, type[Any]]] = []
    repeated: list[str] = []
    repeated_messages: list[tuple[str, type[Any]]] = []
    maps: list[str] = []
    for field in cast("list[FieldDescriptor]", _protobuf_class(cls).DESCRIPTOR.fields):
        kind = field.message_type
        if kind is None:
            (repeated if field.is_repeated else scalars).append(field.name)
        elif kind.GetOptions().map_entry:
            maps.append(field.name)
        else:
            pair = (field.name, getattr(messages, kind.name))
            (repeated_messages if field.is_repeated else singles).append(pair)
    return _Plan(*map(tuple, (scalars, singles, repeated, repeated_messages, maps)))  # type: ignore[arg-type]


def _to_protobuf(message: Any) -> Message:
    cls: type[Any] = type(message)
    plan = _plan(cls)
    values: dict[str, Any] = {name: getattr(message, name) for name in plan.scalars}
    for name in plan.repeated:
        values[name] = getattr(message, name)
    for name in plan.maps:
        values[name] = dict(getattr(message, name))
    for name, _ in plan.singles:
        if (value := getattr(message, name)) is not None:
            values[name] = _to_protobuf(value)
    for name, _ in plan.repeated_messages:
        values[name] = [_to_protobuf(value) for value in getattr(message, name)]
    try:
        return cast("Message", _protobuf_class(cls)(**values))
    except (TypeError, ValueError) as error:
        raise WireError(f"a {cls.__name__} does not fit the wire: {error}") from error


def _from_protobuf(cls: type[Any], parsed: Message) -> Any:
    plan = _plan(cls)
    values: dict[str, Any] = {name: getattr(parsed, name) for name in plan.scalars}
    for name in plan.repeated:
        values[name] = tuple(getattr(parsed, name))
    for name in plan.maps:
        values[name] = dict(getattr(parsed, name))
    for name, kind in plan.singles:
        values[name] = (
            _from_protobuf(kind, getattr(parsed, name)) if parsed.HasField(name) else None
        )
    for name, kind in plan.repeated_messages:
        values[name] = tuple(_from_protobuf(kind, value) for value in getattr(parsed, name))
    return cls(**values)
