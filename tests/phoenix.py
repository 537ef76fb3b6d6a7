"""Arize Phoenix, the real one, as a process: a receiver of OTLP that others made.

It lives in a virtual environment of its own, in the user's cache, made once by uv; ours has nothing
of it. `ready()` says why there is none, where it cannot be made.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from engine.pool.file_lock import FileLock

VERSION = "20.26.1"
PATIENCE = 60.0


def home() -> Path:
    """Where its environment is."""
    cache = platformdirs.user_cache_path("citadel", appauthor=False)
    return cache / "peers" / f"phoenix-{VERSION}-py{sys.version_info[0]}{sys.version_info[1]}"


def python() -> Path:
    """Its interpreter."""
    return home() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ready() -> str:
    """Makes the environment unless it is there; returns what hindered it, "" when all is well."""
    folder, stamp = home(), home() / "citadel-ready"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{folder.name}.lock") as lock:
        end = time.monotonic() + PATIENCE
        while not lock.taken():
            if time.monotonic() > end:
                return "another process has been making Phoenix's environment for too long"
            time.sleep(0.2)
        if stamp.exists():
            return ""
        shutil.rmtree(folder, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        for step in (
            [*uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [
                *(*uv, "pip", "install", "--quiet", "--python", str(python())),
                f"arize-phoenix=={VERSION}",
            ],
        ):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"arize-phoenix cannot be installed: {done.stderr.strip()[-300:]}"
        stamp.touch()
    return ""


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Phoenix:
    """The process, from outside."""

    def __init__(self, process: subprocess.Popen[bytes], http: int, grpc: int) -> None:
        self.process = process
        self.http = f"http://127.0.0.1:{http}"
        self.grpc = f"http://127.0.0.1:{grpc}"

    def endpoint(self, protocol: str) -> str:
        """Its endpoint for a protocol."""
        return self.grpc if protocol == "grpc" else self.http

    def get(self, path: str, **query: str) -> Any:
        """What its REST interface answers."""
        url = f"{self.http}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.loads(answer.read())

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace in the default project."""
        path = "/v1/projects/default/spans"
        return self.get(path, trace_id=trace_id, limit="1000")["data"]

    def spans(self, trace_id: str, count: int) -> list[dict[str, Any]]:
        """As `trace`, when so many are there."""
        end = time.monotonic() + PATIENCE
        while len(found := self.trace(trace_id)) < count:
            names = [span["name"] for span in found]
            assert time.monotonic() < end, f"{len(found)} of {count} spans came: {names}"
            time.sleep(0.1)
        return found


@contextmanager
def phoenix() -> Iterator[Phoenix]:
    """A Phoenix that ends with the block; `ready()` must have said "" before."""
    http, grpc = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(http),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        command = [str(python()), "-m", "phoenix.server.main", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            made = Phoenix(process, http, grpc)
            _await(made)
            yield made
        finally:
            process.kill()
            process.wait()


def _await(made: Phoenix) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            made.get("/v1/projects")
        except (urllib.error.URLError, OSError):
            assert made.process.poll() is None, "Phoenix ended at its start"
            assert time.monotonic() < end, "Phoenix does not answer"
            time.sleep(0.2)
        else:
            return
