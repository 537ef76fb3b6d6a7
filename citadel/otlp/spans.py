"""Rows of topic `span` to the bytes of an OTLP ExportTraceServiceRequest. One thread an encoder.

No object is made for a span: its row is written out, with what comes often (keys, names, lanes,
resources) from caches. Rows of one request are grouped by resource and scope, as OTLP has it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from citadel import semconv
from citadel.otlp import wire
from citadel.otlp.attributes import (
    DROPPED_ATTRIBUTES,
    DROPPED_EVENTS,
    MAX_CACHED,
    dropped,
    encoded,
    parsed,
    text_field,
)
from citadel.otlp.resource import Resource, scope_field
from citadel.otlp.wire import MASK64, VARINTS, varint
from citadel.trace import with_threshold

Row = tuple[Any, ...]
LANE = (
    semconv.CITADEL_SERVICE,
    semconv.CITADEL_MISSION,
    semconv.CITADEL_MISSION_CLASS,
    semconv.CITADEL_SENTINEL,
)
POOL = semconv.CITADEL_POOL
"""Attributes for what rows have columns for, and OpenTelemetry has not."""
_LANES = (*LANE, POOL)
_FROM_OUTSIDE = "user"
"""Spans of this source that belong to no pool came from another program: theirs is its name."""

_ATTRIBUTE, _EVENT_ATTRIBUTE, _LINK_ATTRIBUTE = b"\x4a", b"\x1a", b"\x22"
_NAME, _STATE, _SPAN = b"\x2a", b"\x1a", b"\x12"
_ids = struct.Struct(">2sQQ2sQ").pack
_parent = struct.Struct(">2sQ").pack
_times = struct.Struct("<BqBqBBBBI").pack
"""start, end, kind, and the flags: sampled, since nothing else is sent."""
_STATUS = tuple(wire.message(15, wire.number(3, code)) if code else b"" for code in range(3))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request's bytes, how many rows they hold, and how many rows were looked at for it."""

    data: bytes
    rows: int
    looked_at: int


class SpanEncoder:
    """Encodes for one sender."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._scopes: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._lanes: dict[Row, tuple[tuple[str, bytes], ...]] = {}

    def encode(self, rows: Sequence[Row], limit: int = 2**62) -> Encoded:
        """As many rows as `limit` bytes take, at least one."""
        groups: dict[tuple[str, str], list[bytes]] = {}
        size = good = looked_at = 0
        for row in rows:
            if size >= limit:
                break
            looked_at += 1
            try:
                span = self._span(row)
            except (TypeError, ValueError, IndexError, AttributeError, struct.error):
                continue  # no row of topic `span`
            source = row[9]
            key = (row[10] if source == _FROM_OUTSIDE and not row[14] else "", source)
            group = groups.get(key)
            if group is None:
                group = groups[key] = []
            length = len(span)
            size += length + 4
            group += (_SPAN, VARINTS[length] if length < 16_384 else varint(length), span)
            good += 1
        return Encoded(self._request(groups), good, looked_at)

    def _request(self, groups: dict[tuple[str, str], list[bytes]]) -> bytes:
        resources: dict[str, list[bytes]] = {}
        for (service, source), parts in groups.items():
            resource, scope = self._scope(service, source)
            into = resources.setdefault(service, [resource])
            into.append(wire.message(2, scope + b"".join(parts)))
        return b"".join(wire.message(1, b"".join(parts)) for parts in resources.values())

    def _scope(self, service: str, source: str) -> tuple[bytes, bytes]:
        found = self._scopes.get((service, source))
        if found is None:
            resource = self._resource.of(service) if service else self._resource
            found = (resource.field(), scope_field(source))
            if len(self._scopes) >= MAX_CACHED:
                self._scopes.clear()
            self._scopes[service, source] = found
        return found

    def _span(self, row: Row) -> bytes:
        hi, lo, span_id, parent_id, start, end, kind, status = row[:8]
        text = row[15]
        attributes = parsed(text) if text != "{}" else {}
        parts = [_ids(b"\x0a\x10", hi, lo, b"\x12\x08", span_id)]
        state = row[19], row[20]
        if state != ("", 0):
            parts.append(text_field(_STATE, with_threshold(*state)))
        else:
            parts.append(_SURE)
        if parent_id:
            parts.append(_parent(b"\x22\x08", parent_id))
        parts.append(text_field(_NAME, row[8]))
        parts.append(_times(0x39, start, 0x41, end, 0x30, kind & 0x7F, 0x85, 0x01, 1))
        events = row[16]
        if semconv.CITADEL_DROPPED in text:
            lost = dropped(attributes, DROPPED_ATTRIBUTES)
            parts += (wire.number(10, lost), wire.number(12, dropped(attributes, DROPPED_EVENTS)))
        lane = row[10:15]
        known = self._lanes.get(lane)
        for key, data in known if known is not None else self._lane(lane):
            if key not in attributes:
                parts.append(data)
        if attributes:
            parts.append(encoded(attributes, _ATTRIBUTE))
        if events != "[]":
            parts += map(_event, _listed(events))
        if row[17] != "[]":
            parts += map(_link, _listed(row[17]))
        if row[18]:
            parts.append(wire.message(15, wire.text(2, row[18]) + wire.number(3, status)))
        elif status:
            parts.append(_STATUS[status])
        return b"".join(parts)

    def _lane(self, lane: Row) -> tuple[tuple[str, bytes], ...]:
        made = tuple(
            (key, encoded({key: value}, _ATTRIBUTE))
            for key, value in zip(_LANES, lane, strict=True)
            if value
        )
        if len(self._lanes) >= MAX_CACHED:
            self._lanes.clear()
        self._lanes[lane] = made
        return made


_SURE = wire.text(3, with_threshold("", 0))
"""tracestate of a trace that is kept for sure, and that no other vendor has said a word of."""


def _listed(text: str) -> list[dict[str, Any]]:
    """The objects of a JSON list; [] when it is none."""
    found: Any = parsed(f'{{"":{text}}}').get("")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _event(event: dict[str, Any]) -> bytes:
    time_ns, name = event.get("time_ns"), event.get("name")
    body = wire.fixed64(1, time_ns) if isinstance(time_ns, int) else b""
    body += wire.text(2, name if isinstance(name, str) else str(name or ""))
    return wire.message(11, body + _inner(event.get("attributes"), _EVENT_ATTRIBUTE, 4))


def _link(link: dict[str, Any]) -> bytes:
    try:
        ids = bytes.fromhex(link["trace_id"]), bytes.fromhex(link["span_id"])
    except (KeyError, TypeError, ValueError):
        return b""
    if len(ids[0]) != 16 or len(ids[1]) != 8:
        return b""
    body = wire.message(1, ids[0]) + wire.message(2, ids[1])
    body += wire.text(3, str(link.get("trace_state") or ""))
    return wire.message(13, body + _inner(link.get("attributes"), _LINK_ATTRIBUTE, 5))


def _inner(attributes: Any, tag: bytes, count_field: int) -> bytes:
    """Attributes of an event or a link, and how many more there were."""
    if not isinstance(attributes, dict) or not attributes:
        return b""
    known: dict[str, Any] = dict(attributes)
    lost = dropped(known, DROPPED_ATTRIBUTES)
    return encoded(known, tag) + wire.number(count_field, lost)


def trace_ids(rows: Sequence[Row]) -> set[int]:
    """The traces of rows."""
    return {row[0] << 64 | row[1] for row in rows}


__all__ = ["MASK64", "Encoded", "Row", "SpanEncoder", "trace_ids"]
