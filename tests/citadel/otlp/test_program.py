"""A user program that exports: one call, real processes."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from citadel import telemetry
from citadel.errors import InvalidRequest
from tests.otlp_receiver import Receiver, receiver

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, sys
import citadel.telemetry as telemetry
made = telemetry.export("otlp", endpoint=sys.argv[1], protocol=sys.argv[2], service="shop")
with telemetry.span("sell", item="tea") as outer:
    with telemetry.span("pay"):
        telemetry.event("counted", coins=3)
with telemetry.span("another"):
    pass
if len(sys.argv) > 3:
    pid = os.fork()
    with telemetry.span("child" if pid == 0 else "parent"):
        pass
    if pid:
        os.waitpid(pid, 0)
print(outer.context.trace_hex, flush=True)
"""


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def run(*arguments: str) -> str:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def by_name(there: Receiver) -> dict[str, dict[str, Any]]:
    return {span["name"]: span for span in there.told()["received"]["traces"]}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_spans_form_traces_of_their_own_and_leave_at_exit(there: Receiver, protocol: str) -> None:
    trace_id = run(there.endpoint(protocol), protocol)
    spans = by_name(there)
    assert set(spans) == {"sell", "pay", "another"}
    assert base64.b64decode(spans["sell"]["traceId"]).hex() == trace_id
    assert spans["pay"]["traceId"] == spans["sell"]["traceId"] != spans["another"]["traceId"]
    assert spans["pay"]["parentSpanId"] == spans["sell"]["spanId"]
    assert "parentSpanId" not in spans["sell"]
    assert spans["pay"]["events"][0]["name"] == "counted"


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_child_sends_its_own(there: Receiver) -> None:
    run(there.http, "http/protobuf", "fork")
    names = [span["name"] for span in there.told()["received"]["traces"]]
    assert sorted(names) == ["another", "child", "parent", "pay", "sell"]


def test_a_handle_tells_tests_and_ends(there: Receiver) -> None:
    made = telemetry.export(endpoint=there.http)
    try:
        assert made.test().ok
        with telemetry.span("one") as span:
            assert span
        assert made.flush(30)
        assert made.figures.sent == {"traces": 1}
    finally:
        made.shutdown()
    with telemetry.span("two") as span:
        assert span is None
    assert made.figures.residual == 0


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    for wrong in ({"endpoint": "nowhere"}, {"signals": ["metrics"]}, {"colour": "red"}):
        with pytest.raises(InvalidRequest):
            telemetry.export(**wrong)  # type: ignore[arg-type]
    with telemetry.span("none") as span:
        assert span is None
