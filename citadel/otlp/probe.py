"""Sends one span to a receiver, and says what came back and what to do about it. Blocks."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from urllib.parse import urlsplit

from citadel import semconv
from citadel.errors import CitadelError
from citadel.otlp.config import GRPC, HTTP, address_of, masked_text, url_of
from citadel.otlp.outcome import Fault, Outcome
from citadel.otlp.resource import Resource
from citadel.otlp.sender import transport_of
from citadel.otlp.spans import SpanEncoder
from citadel.trace import new_span_id, new_trace_id
from citadel.vocabulary import KIND_INTERNAL, STATUS_OK
from citadel.wire.messages import ExporterConfig, TestExporterReply

SPAN_NAME = "citadel exporter test"
_MASK64 = 2**64 - 1
_OTHER = {HTTP: GRPC, GRPC: HTTP}


def probe(config: ExporterConfig, resource: Resource | None = None) -> TestExporterReply:
    """Sends one span, once; `config` must have been checked. Never raises."""
    trace_id = new_trace_id()
    began = time.monotonic()
    # A span of its own is sent even by an exporter of metrics alone: what is tested is the way.
    data = SpanEncoder(resource or Resource()).encode([_row(trace_id)]).data
    signal = "traces" if "traces" in config.signals else config.signals[0]
    if signal != "traces":
        data = b""  # an empty request is a valid one, and asks for the same key
    try:
        transport = transport_of(replace(config, paused=False))
    except CitadelError as error:
        outcome = Outcome(verdict="refused", status=error.message, fault="other")
        remedy = error.remedy
    else:
        outcome = transport.send(signal, data)
        transport.close()
        remedy = remedy_of(outcome, config)
    where = f"{address_of(config)[0]}" if config.protocol == GRPC else url_of(config, signal)
    return TestExporterReply(
        ok=outcome.verdict == "accepted" and not outcome.rejected,
        trace_id=f"{trace_id:032x}" if signal == "traces" else "",
        status=outcome.status,
        detail=outcome.detail,
        remedy=remedy,
        seconds=time.monotonic() - began,
        endpoint=masked_text(where),
    )


def remedy_of(outcome: Outcome, config: ExporterConfig) -> str:
    """What to do about an outcome; "" when nothing is wrong."""
    if outcome.verdict == "accepted":
        return "It answers, and takes not all that it is sent" if outcome.rejected else ""
    where = urlsplit(config.endpoint)
    other = _OTHER[config.protocol]
    remedies: dict[Fault, str] = {
        "connection": f"Nothing listens at {where.netloc}: start the receiver, or correct host and"
        f" port (usual: 4318 for {HTTP}, 4317 for {GRPC}); see that no firewall is between",
        "timeout": "The receiver does not answer in time: give a longer timeout, or look at it",
        "tls": "Encryption failed: give http:// for a receiver without TLS, https:// for one with;"
        " its certificate must be of an authority that this machine trusts",
        "protocol": f"Something else than {config.protocol} is spoken there: try protocol {other},"
        " or the receiver's other port",
        "unauthenticated": f"The key is not known: look at the headers ({_keys(config)})",
        "forbidden": f"The key may not do this: give it the right to send, or another one"
        f" ({_keys(config)})",
        "not_found": _not_found(config),
        "too_large": "The receiver takes no request of this size: raise its limit",
        "busy": "The receiver has too much to do; it is sent again later",
        "environment": "Set the variable where this program is started, then start it again",
    }
    return remedies.get(outcome.fault, "Look at what it says, and in the receiver's own log")


def _not_found(config: ExporterConfig) -> str:
    if config.protocol == GRPC:
        return "A gRPC server is there, and no OTLP receiver for this signal: see port and signals"
    return (
        "There is no such path: the endpoint is the part before /v1/traces (Grafana's ends with"
        " /otlp), and not every receiver takes metrics and logs"
    )


def _keys(config: ExporterConfig) -> str:
    return ", ".join(config.headers) or "there are none"


def _row(trace_id: int) -> tuple[object, ...]:
    now = time.time_ns()
    ids = (trace_id >> 64, trace_id & _MASK64, new_span_id(), 0)
    attributes = json.dumps({semconv.CITADEL_EXPORTER_TEST: True})
    return (
        *ids,
        now - 1_000_000,
        now,
        KIND_INTERNAL,
        STATUS_OK,
        SPAN_NAME,
        "engine",
        *[""] * 5,
        attributes,
        "[]",
        "[]",
        "",
        "",
        0,
    )
