"""The tables that the engine streams: which topics there are and which columns each one has.

Kinds are numpy's (little-endian) or `str`, a column of texts through a dictionary. A topic with a
key is *state*: the last row of a key is its present value, and a row whose `state` is "gone"
removes it. A topic without one is a log. Times are unix nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["u1", "u4", "u8", "i8", "f8", "str"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A table's name, columns in order, and key columns (empty for a log)."""

    name: str
    columns: Mapping[str, Kind]
    key: tuple[str, ...] = ()
    streamed: bool = True


def _topic(name: str, columns: str, key: str = "", *, streamed: bool = True) -> Topic:
    pairs = (column.split(":") for column in columns.split())
    kinds: dict[str, Kind] = dict(pairs)  # type: ignore[arg-type]
    return Topic(name, MappingProxyType(kinds), tuple(key.split()), streamed)


TOPICS: Mapping[str, Topic] = MappingProxyType(
    {
        topic.name: topic
        for topic in (
            # A span, once when it ends (for watchers also when it starts, with end_ns 0).
            # kind and status are OpenTelemetry's numbers; source is client, api, engine, sentinel,
            # guard, provider, pool, worker or user; service is the lane: pool, worker, Sentinel.
            # links: JSON list of {trace_id, span_id, attributes}. threshold: OTel's th, how many of
            # 2^56 random traces are rejected where this one is kept: it stands for
            # 2^56 / (2^56 - threshold). 2^56: only a keep-rule kept it, it stands for none.
            # trace_state: W3C's, of other vendors; ours is made from the threshold where it leaves.
            _topic(
                "span",
                "trace_hi:u8 trace_lo:u8 span_id:u8 parent_id:u8 start_ns:i8 end_ns:i8 kind:u1"
                " status:u1 name:str source:str service:str mission:str mission_class:str"
                " sentinel:str pool:str attributes:str events:str links:str status_message:str"
                " trace_state:str threshold:u8",
            ),
            # severity: debug, info, warning, error. name: from the catalogue. attributes: JSON.
            _topic(
                "event",
                "time_ns:i8 severity:str name:str subject:str message:str trace_hi:u8 trace_lo:u8"
                " mission:str attributes:str",
            ),
            _topic(
                "pool",
                "name:str revision:u8 state:str adapter:str size:u4 queue_limit:u4 queued:u4"
                " running:u4 submitted:u8 done:u8 failed:u8 cancelled:u8 rejected:u8 error:str"
                " time_ns:i8 backend:str profile:str min_size:u4 max_size:u4 queue_policy:str"
                " queued_urgent:u4 queued_normal:u4 queued_later:u4 breaker:str sessions:u4"
                " poisoned:u4 queue_wait:f8 slab_bytes:u8 slab_used_bytes:u8 leases:u4 shed:u8"
                " retried:u8 hedged:u8",
                key="name",
            ),
            # taint: why it is to be replaced although it lives. missed: heartbeats in a row.
            # time_ns: when this row was true, for curves of memory and CPU.
            _topic(
                "worker",
                "pool:str id:str pid:u4 state:str rss_bytes:u8 cpu:f8 done:u8 failed:u8"
                " command_id:str tool:str started_ns:i8 since_ns:i8 cause:str node:str"
                " pss_bytes:u8 missed:u4 taint:str running:u4 fds:u4 threads:u4 time_ns:i8",
                key="pool id",
            ),
            # state: open or gone. variables: JSON.
            _topic(
                "session",
                "pool:str key:str state:str worker:str commands:u8 variables:str revision:u8"
                " created_ns:i8 expires_ns:i8",
                key="pool key",
            ),
            # A command that killed workers. state: counted, quarantined or gone.
            _topic(
                "poison",
                "pool:str fingerprint:str state:str tool:str kills:u4 error:str first_ns:i8"
                " last_ns:i8 arguments_bytes:u8",
                key="pool fingerprint",
            ),
            _topic(
                "sentinel",
                "id:str behaviour:str state:str mission_id:str supervisor:str mailbox:u4 handled:u8"
                " restarts:u4 cause:str since_ns:i8",
                key="id",
            ),
            _topic(
                "mission",
                "id:str kind:str name:str mission_class:str state:str done:u8 total:u8 failed:u8"
                " rate:f8 started_ns:i8 ended_ns:i8 error:str trace_id:str summary:str revision:u8"
                " passes:u8 parameters:str",
                key="id",
            ),
            _topic(
                "verdict",
                "time_ns:i8 layer:str decision:str score:f8 latency_ms:f8 strict:u1 channel:str"
                " mission:str sentinel:str trace_hi:u8 trace_lo:u8 reasons:str excerpt:str"
                " failure:str",
            ),
            # The policy in force; rules, keep, overrides, warnings and layers are JSON lists of the
            # wire's messages.
            _topic(
                "sampling",
                "name:str revision:u8 rules:str actor:str reason:str time_ns:i8 keep:str"
                " overrides:str warnings:str",
                key="name",
            ),
            _topic(
                "defense",
                "name:str revision:u8 strict:u1 layers:str actor:str reason:str time_ns:i8",
                key="name",
            ),
            _topic(
                "audit",
                "seq:u8 time_ns:i8 actor:str action:str subject:str before:str after:str reason:str"
                " hash:str",
            ),
            # state: idle, sending, retrying, failed, paused or gone. signals, dropped: JSON.
            _topic(
                "exporter",
                "name:str state:str preset:str endpoint:str protocol:str compression:str"
                " signals:str revision:u8 queued:u8 sent:u8 dropped:str retries:u8 bytes:u8"
                " error:str last_success_ns:i8 last_failure_ns:i8 time_ns:i8",
                key="name",
            ),
            # kind: recording or incident. state: recording, done, failed or gone.
            _topic(
                "recording",
                "name:str kind:str state:str path:str since_ns:i8 until_ns:i8 rows:u8 bytes:u8"
                " dropped:u8 trigger:str cause:str error:str",
                key="name",
            ),
            # Exact counts since start, before any sampling: the rows of /metrics.
            _topic("counter", "name:str labels:str value:f8 time_ns:i8", key="name labels"),
            # New observations of a duration since the last row, before any sampling: OTel's
            # exponential histogram, scale 4 (bucket i: 2^(i/16) < seconds <= 2^((i+1)/16)).
            _topic("latency", "time_ns:i8 name:str subject:str bucket:i8 count:u8"),
            # Traces that a search found; not streamed.
            _topic(
                "trace_summary",
                "trace_hi:u8 trace_lo:u8 name:str start_ns:i8 end_ns:i8 spans:u4 errors:u4 flags:u4"
                " mission:str mission_class:str",
                streamed=False,
            ),
            # How long spans took, as `latency`, from the span store. start_ns: of the first minute.
            # count: spans that were kept; weight: how many they stand for. Not streamed.
            _topic(
                "span_histogram",
                "start_ns:i8 mission:str name:str bucket:i8 count:u8 weight:f8",
                streamed=False,
            ),
            # A survey's table of results; not streamed.
            _topic(
                "survey_result",
                "path:str sha256:str bytes:u8 lines:u8 code_tokens:u8 functions:u4 classes:u4"
                " complexity_max:u4 complexity_sum:u8 duplicated_lines:u8 status:str error:str"
                " verified:str summary:str summary_source:str",
                streamed=False,
            ),
        )
    }
)

STREAMED = tuple(name for name, topic in TOPICS.items() if topic.streamed)
