"""The test receiver: a process of its own that takes OTLP and decodes it with the official classes.

    python tests/otlp_receiver.py [HTTP_PORT GRPC_PORT]    says its ports as JSON

POST /control with a list of answers, each used once: {"code": 503}, {"hang": true},
{"code": 200, "rejected": 2}, {"retry_after": "1"}, {"grpc": "UNAVAILABLE", "retry_info": 0.5}.
GET /received tells what came: counts, and the spans, metrics and logs themselves as JSON.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

SIGNALS: dict[str, tuple[Any, Any, str]] = {
    "traces": (
        trace_service_pb2.ExportTraceServiceRequest,
        trace_service_pb2.ExportTraceServiceResponse,
        "rejected_spans",
    ),
    "metrics": (
        metrics_service_pb2.ExportMetricsServiceRequest,
        metrics_service_pb2.ExportMetricsServiceResponse,
        "rejected_data_points",
    ),
    "logs": (
        logs_service_pb2.ExportLogsServiceRequest,
        logs_service_pb2.ExportLogsServiceResponse,
        "rejected_log_records",
    ),
}
SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
HANG_SECONDS = 600.0


class State:
    """What came, and what is to be answered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answers: list[dict[str, Any]] = []
        self.received: dict[str, list[Any]] = {signal: [] for signal in SIGNALS}
        self.counts = dict.fromkeys(SIGNALS, 0)
        self.requests: list[dict[str, Any]] = []
        self.keep = True

    def take(self, signal: str, data: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """Decodes a request; returns how to answer it."""
        with self.lock:
            answer = self.answers.pop(0) if self.answers else {}
            self.requests.append({"signal": signal, "headers": headers, "bytes": len(data)})
        if answer.get("code", 200) != 200 or answer.get("grpc") or answer.get("hang"):
            return answer
        found = items(signal, SIGNALS[signal][0].FromString(data))
        with self.lock:
            self.counts[signal] += len(found)
            if self.keep:
                self.received[signal] += [MessageToDict(item) for item in found]
        return answer


def items(signal: str, request: Any) -> list[Any]:
    """Spans, metrics or log records of a request."""
    if signal == "traces":
        return [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
    if signal == "metrics":
        return [
            m for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics
        ]
    return [
        record
        for r in request.resource_logs
        for scope in r.scope_logs
        for record in scope.log_records
    ]


def response(signal: str, answer: dict[str, Any]) -> bytes:
    """An Export…ServiceResponse."""
    _, made, field = SIGNALS[signal]
    reply = made()
    if rejected := answer.get("rejected"):
        setattr(reply.partial_success, field, rejected)
        reply.partial_success.error_message = "the test wants it so"
    return reply.SerializeToString()


def handler(state: State) -> type[BaseHTTPRequestHandler]:
    """OTLP over HTTP, and the control."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path == "/control":
                told = json.loads(body)
                with state.lock:
                    state.answers += told.get("answers", [])
                    state.keep = told.get("keep", state.keep)
                return self._say(200, b"{}", "application/json")
            signal = self.path.removeprefix("/v1/")
            if signal not in SIGNALS:
                return self._say(404, b"no such path", "text/plain")
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            answer = state.take(signal, body, {k.lower(): v for k, v in self.headers.items()})
            if answer.get("hang"):
                threading.Event().wait(HANG_SECONDS)
            code = answer.get("code", 200)
            extra = {"retry-after": answer["retry_after"]} if "retry_after" in answer else {}
            if code == 200:
                kind = answer.get("kind", "application/x-protobuf")
                return self._say(200, response(signal, answer), kind)
            status = Status(code=3, message=answer.get("message", "told so")).SerializeToString()
            return self._say(code, status, "application/x-protobuf", extra)

        def do_GET(self) -> None:
            with state.lock:
                told = {
                    "counts": state.counts,
                    "received": state.received,
                    "requests": state.requests,
                }
                data = json.dumps(told).encode()
            self._say(200, data, "application/json")

        def _say(
            self, code: int, body: bytes, kind: str, extra: dict[str, str] | None = None
        ) -> None:
            self.send_response(code)
            for key, value in (extra or {}).items():
                self.send_header(key, value)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def grpc_server(state: State, port: int) -> tuple[grpc.Server, int]:
    """OTLP over gRPC."""

    def method(signal: str) -> grpc.RpcMethodHandler:
        def export(data: bytes, context: grpc.ServicerContext) -> bytes:
            answer = state.take(signal, data, {k: str(v) for k, v in context.invocation_metadata()})
            if answer.get("hang"):
                threading.Event().wait(HANG_SECONDS)
            if code := answer.get("grpc"):
                if "retry_info" in answer:
                    info = RetryInfo()
                    info.retry_delay.FromMilliseconds(round(answer["retry_info"] * 1000))
                    detail = AnyMessage()
                    detail.Pack(info)
                    status = Status(code=8, message="told so", details=[detail])
                    trailer = ("grpc-status-details-bin", status.SerializeToString())
                    context.set_trailing_metadata((trailer,))
                context.abort(grpc.StatusCode[code], "told so")
            return response(signal, answer)

        return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(service, {"Export": method(signal)})
            for signal, service in SERVICES.items()
        )
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


class Receiver:
    """The process, from outside."""

    def __init__(self, http: int = 0, grpc_port: int = 0) -> None:
        command = [sys.executable, str(Path(__file__)), str(http), str(grpc_port)]
        self.process = Popen(command, stdout=PIPE, text=True)
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.http_port, self.grpc_port = said["http"], said["grpc"]

    @property
    def http(self) -> str:
        """Its endpoint for http/protobuf."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        """Its endpoint for grpc."""
        return f"http://127.0.0.1:{self.grpc_port}"

    def endpoint(self, protocol: str) -> str:
        """Its endpoint for a protocol."""
        return self.grpc if protocol == "grpc" else self.http

    def answer(self, *answers: dict[str, Any]) -> None:
        """What it answers next."""
        self._ask("/control", {"answers": answers})

    def keep(self, *, rows: bool) -> None:
        """Whether it keeps what came, or counts only."""
        self._ask("/control", {"keep": rows})

    def told(self) -> dict[str, Any]:
        """What it was sent."""
        return self._ask("/received", None)

    def counts(self) -> dict[str, int]:
        """How many spans, metrics and log records."""
        return self.told()["counts"]

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _ask(self, path: str, body: Any) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(self.http + path, data, timeout=30) as answer:
            return json.loads(answer.read())


@contextmanager
def receiver(http: int = 0, grpc_port: int = 0) -> Iterator[Receiver]:
    """A receiver that ends with the block."""
    made = Receiver(http, grpc_port)
    try:
        yield made
    finally:
        made.kill()


def main() -> None:
    """Serves until killed."""
    ports = [int(text) for text in sys.argv[1:]] or [0, 0]
    state = State()
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", ports[0]), handler(state))
    server.daemon_threads = True
    kept, bound = grpc_server(state, ports[1])
    sys.stdout.write(json.dumps({"http": server.server_port, "grpc": bound}) + "\n")
    sys.stdout.flush()
    server.serve_forever()
    kept.stop(0)


if __name__ == "__main__":
    main()
