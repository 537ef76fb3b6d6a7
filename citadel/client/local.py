"""Starts an engine as a child of this process: what "embedded" means in window, CLI and tests.

The child listens on loopback, on a port that it picks, and takes a one-time token from its standard
input. It ends when that input closes, so it never outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from citadel.errors import Unavailable

START_SECONDS = 60.0
STOP_SECONDS = 10.0
STDERR_LINES = 50
"""Lines of the child's standard error that are kept for error messages."""
ENGINE_NEEDS = ("engine", "pydantic_settings", "sqlalchemy", "alembic", "prometheus_client", "re2")
# A Ctrl+C at the terminal is for the parent, which then ends the child in an orderly way.
_OWN_GROUP: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    if sys.platform == "win32"
    else {"process_group": 0}
)


def require_engine() -> None:
    """Sees that the engine and its libraries are installed.

    Raises:
        Unavailable: says what is missing.
    """
    missing = [name for name in ENGINE_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"the engine is not installed here: there is no {', '.join(missing)}",
            subject=missing[0],
            remedy='Install it: pip install "citadel-command[engine]"',
        )


class LocalEngine:
    """An engine of our own. Use it as an async context manager, or call `start` and `stop`."""

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        data_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.address = ""
        self.token = secrets.token_urlsafe(32)
        self.metrics_address = ""
        self.instance_id = ""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._arguments = list(arguments)
        if data_dir is not None:
            self._arguments += ["--data-dir", str(data_dir)]
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it lives, or before it was started."""
        return self._process.returncode if self._process else None

    @property
    def pid(self) -> int:
        """The child's process id; 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> Self:
        """Returns once it serves.

        Raises:
            Unavailable: it is not installed, or did not start; the text has its last words.
        """
        require_engine()
        command = [sys.executable, "-m", "engine.main", "--embedded", *self._arguments]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._environment,
            **_OWN_GROUP,
        )
        assert self._process.stdin
        assert self._process.stdout
        # Owned by this object and ended by stop().
        loop = asyncio.get_running_loop()
        self._drain = loop.create_task(self._read_stderr(), name="engine's standard error")
        try:
            self._process.stdin.write(self.token.encode() + b"\n")
            await self._process.stdin.drain()
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
            said = json.loads(line)
        except BaseException as error:
            await self.stop()
            if not isinstance(error, (OSError, ValueError)):
                raise
            raise Unavailable(
                f"the engine did not start: {self._last_words(error)}",
                details={"stderr": "\n".join(self.stderr)},
            ) from error
        self.address = said["address"]
        self.instance_id = said["instance_id"]
        self.metrics_address = said["metrics_address"]
        return self

    async def stop(self) -> int:
        """Asks it to end by closing its input, then kills it; returns its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.stdin:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await process.wait()
        except TimeoutError:
            self.kill()
            code = await process.wait()
        if self._drain:
            await self._drain
        return code

    def kill(self) -> None:
        """Kills it at once."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def wait(self) -> int:
        """Returns its exit code once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def __aenter__(self) -> Self:
        """Starts it, unless it was started."""
        return self if self.running else await self.start()

    async def __aexit__(self, *_: object) -> None:
        """Ends it."""
        await self.stop()

    def _last_words(self, error: Exception) -> str:
        """Why it did not start: its error line, or else the last that it said."""
        said = [line for line in reversed(self.stderr) if line.strip()]
        ours = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        if isinstance(error, TimeoutError):
            return f"it was not ready in {START_SECONDS:g} s"
        return (ours or said or [str(error)])[0]

    async def _read_stderr(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.stderr.append(line.decode("utf-8", "replace").rstrip())
