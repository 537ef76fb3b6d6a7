"""Python environments of pools that list requirements: made by uv, shared by all that ask the same.

An environment's folder is named for what it was made of, so one that is there is never changed. It
counts once its mark is written, last; a half-made one is made anew. A file lock keeps engines that
share a data folder from making one at the same time. uv runs as a process; the loop never waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from citadel.errors import AdapterFailed, CitadelError
from engine.pool.file_lock import FileLock
from engine.pool.options import EnvironmentOptions

OWN_REQUIREMENTS = ("msgpack>=1.1", "pydantic>=2.10")
"""What the worker's own code needs."""
FOLDER = "environments"
REQUIREMENTS, LOCK, MARK = "requirements.in", "requirements.lock", "complete"
BUILD_SECONDS = 900.0
LOCK_POLL_SECONDS = 0.2
LAST_LINES = 20
"""Lines of uv's that an error has."""
SHOWN_LINES = 4
"""Of those, in its text."""
FAILED_SECONDS = 5.0
"""An environment that could not be made is not tried again before."""

Tell = Callable[[str, str, str], None]
"""Hears of an event: its name, its subject, its text."""


class Environments:
    """The environments below one data folder."""

    def __init__(self, folder: Path | None, tell: Tell) -> None:
        self._folder = folder / FOLDER if folder else None
        self._tell = tell
        self._making: dict[Path, asyncio.Lock] = {}
        self._failed: dict[Path, tuple[float, CitadelError]] = {}

    async def ready(self, options: EnvironmentOptions, pool: str) -> str:
        """The interpreter of the environment with these requirements, made when it is not there.

        Raises:
            AdapterFailed: it cannot be made; the details have what uv said last.
        """
        if self._folder is None:
            raise AdapterFailed(
                f"pool {pool} lists requirements, and the engine has no data folder",
                subject=pool,
                remedy="Give a data folder, or an interpreter: environment.python",
            )
        wanted = tuple(sorted({*OWN_REQUIREMENTS, *options.requirements}))
        folder = self._folder / _name(options.python, wanted)
        async with self._making.setdefault(folder, asyncio.Lock()):
            if not (folder / MARK).exists():
                await self._make(folder, options.python, wanted, pool)
        return str(_python(folder))

    async def _make(self, folder: Path, python: str, wanted: tuple[str, ...], pool: str) -> None:
        when, error = self._failed.get(folder, (float("-inf"), None))
        if error and time.monotonic() - when < FAILED_SECONDS:
            raise error
        try:
            async with asyncio.timeout(BUILD_SECONDS), _locked(folder):
                if not (folder / MARK).exists():
                    await self._build(folder, python, wanted, pool)
        except (OSError, TimeoutError) as cause:
            text = f"{BUILD_SECONDS:g} s were not enough" if not str(cause) else str(cause)
            error = _error(pool, text, [])
        except AdapterFailed as cause:
            error = cause
        else:
            return
        self._failed[folder] = time.monotonic(), error
        self._tell("environment.failed", pool, error.message)
        raise error

    async def _build(self, folder: Path, python: str, wanted: tuple[str, ...], pool: str) -> None:
        began = time.monotonic()
        self._tell("environment.building", pool, f"{', '.join(wanted)} in {folder.name}")
        await asyncio.to_thread(_begin, folder, wanted)
        ours = str(_python(folder))
        asked, lock = str(folder / REQUIREMENTS), str(folder / LOCK)
        steps = (
            ("venv", "--python", python or sys.executable, str(folder / "venv")),
            ("pip", "compile", "--python", ours, "--generate-hashes", "-q", asked, "-o", lock),
            ("pip", "sync", "--python", ours, "--require-hashes", lock),
        )
        for step in steps:
            await self._uv(step, pool)
        (folder / MARK).touch()
        self._tell("environment.ready", pool, f"after {time.monotonic() - began:.1f} s")

    async def _uv(self, step: tuple[str, ...], pool: str) -> None:
        """Runs uv; each line that it says is news.

        Raises:
            AdapterFailed: it failed, and with what last lines.
        """
        process = await asyncio.create_subprocess_exec(
            *_uv_command(pool),
            *step,
            "--no-progress",
            "--color=never",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said: deque[str] = deque(maxlen=LAST_LINES)
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                if text := line.decode("utf-8", "replace").strip():
                    said.append(text)
                    self._tell("environment.progress", pool, text)
            code = await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if code:
            last = " ".join(list(said)[-SHOWN_LINES:]) or f"exit code {code}"
            raise _error(pool, f"uv {' '.join(step[:2])}: {last}", list(said))


def _begin(folder: Path, wanted: tuple[str, ...]) -> None:
    """Takes what is left of a half-made environment away, and writes down what is wanted."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / REQUIREMENTS).write_text("\n".join(wanted) + "\n", encoding="utf-8")


def _name(python: str, wanted: tuple[str, ...]) -> str:
    what = [python or sys.executable, platform.platform(), platform.python_version(), *wanted]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:24]


def _python(folder: Path) -> Path:
    if os.name == "nt":
        return folder / "venv" / "Scripts" / "python.exe"
    return folder / "venv" / "bin" / "python"


def _uv_command(pool: str) -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    if found is None:
        raise _error(pool, "there is no uv", [])
    return [found]


def _error(pool: str, text: str, said: list[str]) -> AdapterFailed:
    return AdapterFailed(
        f"the environment of pool {pool} cannot be made: {text}",
        subject=pool,
        remedy="Check environment.requirements and environment.python, and that uv and its index"
        f" are there; then: citadel pool recycle {pool}",
        details={"output": "\n".join(said)},
    )


@asynccontextmanager
async def _locked(folder: Path) -> AsyncGenerator[None]:
    """Holds the lock beside a folder, against other engines too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")) as lock:
        while not lock.taken():  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
