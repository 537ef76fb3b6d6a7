"""W3C traceparent, both ways."""

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.trace import (
    SpanContext,
    new_span_id,
    new_trace_id,
    parse_traceparent,
    seed_ids,
)

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_is_written_is_read(trace_id: int, span_id: int, sampled: bool) -> None:
    context = SpanContext(trace_id, span_id, sampled)
    assert parse_traceparent(context.traceparent()) == context


def test_the_example_of_the_standard_is_read() -> None:
    context = parse_traceparent(HEADER)
    assert context == SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert context.trace_hex == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        HEADER.upper(),
        HEADER.replace("00-", "ff-", 1),
        HEADER + "-more",
        HEADER[:-1],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)
def test_a_malformed_header_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent(HEADER.replace("00-", "01-", 1) + "-more") is not None


def test_ids_are_reproducible_where_their_source_is() -> None:
    try:
        seed_ids(random.Random(1))
        first = new_trace_id(), new_span_id()
        seed_ids(random.Random(1))
        assert (new_trace_id(), new_span_id()) == first
    finally:
        seed_ids(random.Random())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_forked_processes_give_ids_of_their_own() -> None:
    """Workers are forked from one zygote: equal ids of two of them would be one span to others."""
    program = """
import os
from citadel.trace import new_span_id
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        print(new_span_id(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
print(new_span_id())
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert len(set(done.stdout.split())) == 4
