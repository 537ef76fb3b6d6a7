"""Rows of topic `event` to the bytes of an OTLP ExportLogsServiceRequest. Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from citadel import semconv
from citadel.otlp import wire
from citadel.otlp.attributes import DROPPED_ATTRIBUTES, dropped, encoded, parsed
from citadel.otlp.resource import Resource, scope_field
from citadel.otlp.spans import Encoded, Row

SOURCE = "engine"
SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17}
"""OpenTelemetry's numbers."""
_ATTRIBUTE = b"\x32"


def request(resource: Resource, rows: Sequence[Row], limit: int = 2**62) -> Encoded:
    """As many rows as `limit` bytes take, at least one."""
    parts: list[bytes] = []
    size = looked_at = 0
    for row in rows:
        if size >= limit:
            break
        looked_at += 1
        try:
            record = wire.message(2, _record(row))
        except (TypeError, ValueError, AttributeError, struct.error):
            continue  # no row of topic `event`
        size += len(record)
        parts.append(record)
    scope = scope_field(SOURCE) + b"".join(parts)
    data = wire.message(1, resource.field() + wire.message(2, scope))
    return Encoded(data, len(parts), looked_at)


def _record(row: Row) -> bytes:
    time_ns, severity, name, subject, text, hi, lo, mission, attributes = row
    known = dict(parsed(attributes))
    lost = dropped(known, DROPPED_ATTRIBUTES)
    for key, value in ((semconv.CITADEL_SUBJECT, subject), (semconv.CITADEL_MISSION, mission)):
        if value:
            known.setdefault(key, value)
    body = (
        wire.fixed64(1, time_ns)
        + wire.number(2, SEVERITIES.get(severity, 0))
        + wire.text(3, severity.upper())
        + wire.message(5, wire.message(1, wire.utf8(text or name)))
        + encoded(known, _ATTRIBUTE)
        + wire.number(7, lost)
    )
    if hi or lo:
        trace_id = hi.to_bytes(8, "big") + lo.to_bytes(8, "big")
        body += wire.fixed32(8, 1) + wire.message(9, trace_id)
    return body + wire.fixed64(11, time_ns) + wire.text(12, name)
