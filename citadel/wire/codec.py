"""Between the dataclasses of `messages` and bytes on the wire. The one importer of generated code.

Each dataclass has the name and the fields of a protobuf message, so a pair of functions a class,
made once, serves both ways. Unset message fields are None; repeated ones are tuples. Bad bytes
raise `WireError`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError

from citadel.errors import WireError
from citadel.wire import messages
from citadel.wire.v1 import (
    common_pb2,
    defense_pb2,
    engine_pb2,
    exporters_pb2,
    missions_pb2,
    pools_pb2,
    recordings_pb2,
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
    exporters_pb2,
    recordings_pb2,
)

M = TypeVar("M")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC: where it is and what goes in and out."""

    service: str
    name: str
    request: type[Any]
    response: type[Any]
    streams_in: bool
    streams: bool
    """Whether its answers are a stream."""

    @property
    def path(self) -> str:
        """The path of the HTTP/2 request."""
        return f"/{self.service}/{self.name}"


def encode(message: Any) -> bytes:
    """The bytes of a message dataclass.

    Raises:
        WireError: it is none, or holds a value that the wire cannot.
    """
    cls = type(message)
    parsed = _protobuf_class(cls)()
    try:
        return _converters(cls).fill(message, parsed).SerializeToString()
    except (TypeError, ValueError, AttributeError) as error:
        raise WireError(f"a {cls.__name__} does not fit the wire: {error}") from error


def decode(cls: type[M], data: bytes) -> M:
    """A message dataclass from bytes.

    Raises:
        WireError: the bytes are not such a message.
    """
    try:
        parsed = _protobuf_class(cls).FromString(data)
    except DecodeError as error:
        raise WireError(f"{len(data)} bytes are no {cls.__name__}: {error}") from error
    return _converters(cls).make(parsed)


def decoder(cls: type[M]) -> Callable[[bytes], M]:
    """`decode` of one class, for those who do it often."""
    parse, make = _protobuf_class(cls).FromString, _converters(cls).make

    def decode_one(data: bytes) -> M:
        try:
            return make(parse(data))
        except DecodeError as error:
            raise WireError(f"{len(data)} bytes are no {cls.__name__}: {error}") from error

    return decode_one


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
                    streams_in=method.client_streaming,
                    streams=method.server_streaming,
                )
    return MappingProxyType(found)


def service_names() -> tuple[str, ...]:
    """The full names of the services, for health and reflection."""
    return tuple(sorted({method.service for method in methods().values()}))


@cache
def _protobuf_class(cls: type[Any]) -> Any:
    for module in _MODULES:
        if cls.__name__ in module.DESCRIPTOR.message_types_by_name:
            return getattr(module, cls.__name__)
    raise WireError(f"{cls.__name__} is no message of the wire")


@dataclasses.dataclass(frozen=True, slots=True)
class _Converters:
    """Of one class: fills a protobuf message from a dataclass, and makes a dataclass of one."""

    fill: Callable[[Any, Any], Any]
    make: Callable[[Any], Any]


@cache
def _converters(cls: type[Any]) -> _Converters:
    """Their source is written from the descriptor and compiled once, as dataclasses do it.

    A loop over the fields for each message would cost several times as much.
    """
    fields = cast("list[FieldDescriptor]", _protobuf_class(cls).DESCRIPTOR.fields)
    names: dict[str, Any] = {"cls": cls}
    for field in fields:
        kind = field.message_type
        if kind is not None and _shape(field) != "map":
            inner = _converters(getattr(messages, kind.name))
            names[f"fill_{field.name}"], names[f"make_{field.name}"] = inner.fill, inner.make
    there = [_THERE[_shape(field)].format(field.name) for field in fields]
    back = [f"{field.name}={_BACK[_shape(field)].format(field.name)}" for field in fields]
    source = "\n    ".join(["def fill(m, p):", *there, "return p"])
    source += f"\ndef make(p):\n    return cls({', '.join(back)})\n"
    exec(source, names)  # noqa: S102 - made of nothing but the names of our own protos
    return _Converters(names["fill"], names["make"])


def _shape(field: FieldDescriptor) -> str:
    kind = field.message_type
    if kind is None:
        return "scalars" if field.is_repeated else "scalar"
    if kind.GetOptions().map_entry:
        return "map"
    return "messages" if field.is_repeated else "message"


_THERE = {
    "scalar": "if v := m.{0}: p.{0} = v",
    "scalars": "if v := m.{0}: p.{0}.extend(v)",
    "map": "if v := m.{0}: p.{0}.update(v)",
    "message": "if (v := m.{0}) is not None: p.{0}.SetInParent(); fill_{0}(v, p.{0})",
    "messages": "for v in m.{0}: fill_{0}(v, p.{0}.add())",
}
"""A statement that takes a field there, by its shape; what is not set costs a look."""
_BACK = {
    "scalar": "p.{0}",
    "scalars": "tuple(p.{0})",
    "map": "dict(p.{0})",
    "message": "make_{0}(p.{0}) if p.HasField('{0}') else None",
    "messages": "tuple(map(make_{0}, p.{0}))",
}
"""An expression that takes it back."""
