"""Recorded spans and attributes to rows: limits, redaction and JSON, away from the recording path.

A span of the engine comes with a dict of attributes; one of a worker or client comes as a row whose
attributes are JSON already. Neither may break a reader: what is malformed is replaced and says so.
Pure; runs when the recorder drains.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from citadel import semconv
from citadel.trace import SpanContext
from engine.telemetry.redact import redact, redact_text

MAX_ATTRIBUTES = 128
"""Attributes that a span or a span's event keeps; the number of the others is one more."""
MAX_TEXT = 8_192
"""Longer texts are cut: an attribute is no place for a document."""
MAX_JSON = 65_536
"""All attributes, or all events, of a span, in characters of JSON; beyond it none is kept."""
MAX_NAME = 256
MAX_LINKS = 128
MAX_TRACE_STATE = 512
"""W3C's; a longer one is not handed on."""

ATTRIBUTES, EVENTS, LINKS, TRACE_STATE = 15, 16, 17, 19
"""Columns of topic `span`."""

Row = tuple[Any, ...]


class FinishedRow(tuple[Any, ...]):
    """A row from elsewhere that was checked, cleaned and redacted where it was made."""

    __slots__ = ()


Event = tuple[str, int, Mapping[str, Any]]
"""Name, time, attributes."""

_TRACE_ID, _SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def attributes_json(attributes: Mapping[str, Any]) -> str:
    """Attributes as a JSON object, within the limits and without secrets."""
    if not attributes:
        return "{}"
    text = _json(redact(_limited(attributes)))
    if len(text) <= MAX_JSON:
        return text
    return _encode(
        {semconv.CITADEL_TRUNCATED: f"{len(attributes)} attributes, {len(text)} characters"}
    )


def events_json(events: Sequence[Event]) -> str:
    """Span events as a JSON list of {time_ns, name, attributes}."""
    if not events:
        return "[]"
    shown = [
        {"time_ns": time_ns, "name": clean(name), "attributes": redact(_limited(attributes))}
        for name, time_ns, attributes in events
    ]
    text = _json(shown)
    if len(text) <= MAX_JSON:
        return text
    note = {semconv.CITADEL_TRUNCATED: f"{len(events)} events, {len(text)} characters"}
    return _encode([{**shown[0], "attributes": note}])


def links_json(links: Sequence[SpanContext]) -> str:
    """Links to other spans as a JSON list of {trace_id, span_id, attributes}, up to MAX_LINKS."""
    if not links:
        return "[]"
    return _encode(
        [
            {"trace_id": link.trace_hex, "span_id": f"{link.span_id:016x}", "attributes": {}}
            for link in links[:MAX_LINKS]
        ]
    )


def foreign_row(row: Sequence[Any]) -> Row:
    """The row of a span that another process recorded, made safe."""
    links, message, trace_state, threshold = row[LINKS:]
    return (
        *row[:8],
        *map(clean, row[8:ATTRIBUTES]),
        _checked_attributes(row[ATTRIBUTES]),
        _checked_events(row[EVENTS]),
        _checked_links(links),
        clean_text(message),
        trace_state if len(trace_state) <= MAX_TRACE_STATE and trace_state.isascii() else "",
        threshold,
    )


def clean(name: Any) -> str:
    """A name that UTF-8 can carry, of bounded length."""
    text = name if isinstance(name, str) else str(name)
    if len(text) > MAX_NAME:
        text = text[: MAX_NAME - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def clean_text(text: str) -> str:
    """A message that UTF-8 can carry, of bounded length, without secrets."""
    text = redact_text(_cut(text))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        return _encode(_plain(value))


def _limited(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _cut(value) for key, value in attributes.items()}
    if len(kept) > MAX_ATTRIBUTES:
        lost = len(kept) - MAX_ATTRIBUTES
        kept = dict(list(kept.items())[:MAX_ATTRIBUTES])
        kept[semconv.CITADEL_DROPPED_ATTRIBUTES] = lost
    return kept


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return value[:MAX_TEXT] + "…"
    return value


def _plain(value: Any, depth: int = 16) -> Any:
    """The value with only what JSON can say; anything else by its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth:
        return {str(key): _plain(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_plain(inner, depth - 1) for inner in value]
    return redact_text(_cut(str(value)))


def _checked_attributes(text: Any) -> str:
    if text in ("", "{}"):
        return "{}"
    value = _parsed(text)
    if isinstance(value, dict):
        return attributes_json(value)
    return _encode({semconv.CITADEL_MALFORMED: "the attributes were no JSON object"})


def _checked_events(text: Any) -> str:
    if text in ("", "[]"):
        return "[]"
    value = _parsed(text)
    return events_json([_event(item) for item in value] if isinstance(value, list) else [])


def _checked_links(text: Any) -> str:
    """Links whose ids are ids; the others are not kept."""
    if text in ("", "[]"):
        return "[]"
    value = _parsed(text)
    return links_of(value) if isinstance(value, list) else "[]"


def links_of(items: Iterable[Any]) -> str:
    """Links that another process told, as JSON; those without sound ids are left out."""
    links = [_link(item) for item in itertools.islice(items, MAX_LINKS)]
    text = _json([link for link in links if link])
    return text if len(text) <= MAX_JSON else "[]"


def _link(item: Any) -> dict[str, Any] | None:
    fields: dict[str, Any] = item if isinstance(item, dict) else {}
    trace_id, span_id = str(fields.get("trace_id", "")), str(fields.get("span_id", ""))
    attributes = fields.get("attributes")
    if not _TRACE_ID.fullmatch(trace_id) or not _SPAN_ID.fullmatch(span_id):
        return None
    known = redact(_limited(attributes)) if isinstance(attributes, dict) else {}
    return {"trace_id": trace_id, "span_id": span_id, "attributes": known}


def _event(item: Any) -> Event:
    fields: dict[str, Any] = item if isinstance(item, dict) else {}
    time_ns, attributes = fields.get("time_ns"), fields.get("attributes")
    return (
        str(fields.get("name", "")),
        time_ns if isinstance(time_ns, int) else 0,
        attributes if isinstance(attributes, dict) else {},
    )


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
