"""Metrics and logs, read by the official classes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from citadel.otlp import logs, metrics
from citadel.otlp.metrics import Durations, Help, Number
from citadel.otlp.resource import Resource
from engine.telemetry.histogram import Histogram

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def metrics_of(data: bytes) -> dict[str, Any]:
    [resource] = ExportMetricsServiceRequest.FromString(data).resource_metrics
    [scope] = resource.scope_metrics
    assert scope.scope.name == "citadel.engine"
    return {metric.name: metric for metric in scope.metrics}


def labels_of(point: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in point.attributes}


def test_counters_are_cumulative_sums_and_gauges_have_no_start() -> None:
    points = [
        Number(name="sent", labels=(("to", "a"),), value=7, monotonic=True),
        Number(name="sent", labels=(("to", "b"),), value=0, monotonic=True),
        Number(name="rss", labels=(), value=1.5, monotonic=False),
    ]
    helps = {"sent": Help(text="What was sent", unit="1")}
    found = metrics_of(metrics.request(Resource(), points, start_ns=10, time_ns=20, helps=helps))
    assert found["sent"].sum.is_monotonic
    assert found["sent"].sum.aggregation_temporality == CUMULATIVE
    assert (found["sent"].description, found["sent"].unit) == ("What was sent", "1")
    sums = found["sent"].sum.data_points
    assert [(labels_of(p), p.as_double) for p in sums] == [({"to": "a"}, 7), ({"to": "b"}, 0)]
    assert {(p.start_time_unix_nano, p.time_unix_nano) for p in sums} == {(10, 20)}
    [gauge] = found["rss"].gauge.data_points
    assert (gauge.as_double, gauge.start_time_unix_nano, gauge.time_unix_nano) == (1.5, 0, 20)


@given(st.lists(st.floats(0, 2e6) | st.floats(allow_nan=False), max_size=200))
def test_histograms_have_the_buckets_that_were_counted(seconds: list[float]) -> None:
    histogram = Histogram()
    for each in seconds:
        histogram.record(each)
    point = Durations(
        name="d", labels=(("pool", "p"),), counts=dict(histogram.counts), sum=histogram.sum
    )
    found = metrics_of(metrics.request(Resource(), [point], start_ns=1, time_ns=2))["d"]
    assert found.exponential_histogram.aggregation_temporality == CUMULATIVE
    [told] = found.exponential_histogram.data_points
    assert (told.count, told.sum, told.scale) == (len(seconds), histogram.sum, 4)
    buckets = told.positive
    counts = {
        buckets.offset + number: count
        for number, count in enumerate(buckets.bucket_counts)
        if count
    }
    assert counts == dict(histogram.counts)
    assert sum(buckets.bucket_counts) == told.count
    assert labels_of(told) == {"pool": "p"}


@given(
    st.integers(0, 2**63 - 1),
    st.sampled_from(["debug", "info", "warning", "error"]),
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(0, 2**64 - 1),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4),
)
def test_events_are_log_records(
    time_ns: int, severity: str, subject: str, text: str, lo: int, attributes: dict[str, Any]
) -> None:
    row = (time_ns, severity, "pool.state", subject, text, 5, lo, "m", json.dumps(attributes))
    encoded = logs.request(Resource(), [row])
    assert (encoded.rows, encoded.looked_at) == (1, 1)
    [resource] = ExportLogsServiceRequest.FromString(encoded.data).resource_logs
    [record] = resource.scope_logs[0].log_records
    numbers = {"debug": 5, "info": 9, "warning": 13, "error": 17}
    assert (record.severity_number, record.severity_text) == (numbers[severity], severity.upper())
    assert record.time_unix_nano == record.observed_time_unix_nano == time_ns
    assert record.event_name == "pool.state"
    assert record.body.string_value == (text.encode("utf-8", "replace").decode() or "pool.state")
    assert int.from_bytes(record.trace_id, "big") == 5 << 64 | lo
    keys = {pair.key for pair in record.attributes}
    wanted = {key.encode("utf-8", "replace").decode() for key in attributes}
    assert keys == wanted | {"citadel.mission"} | ({"citadel.subject"} if subject else set())


def test_an_event_outside_of_any_trace_names_none() -> None:
    row = (1, "info", "engine.started", "here", "", 0, 0, "", "{}")
    [resource] = ExportLogsServiceRequest.FromString(
        logs.request(Resource(), [row]).data
    ).resource_logs
    [record] = resource.scope_logs[0].log_records
    assert record.trace_id == b""
    assert record.flags == 0
