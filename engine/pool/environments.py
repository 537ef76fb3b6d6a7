"""Python environments of pools that list requirements: made by uv, shared by all that ask the same.

An environment's folder is named for what it was made of, so one that is there is never changed. It
counts once its mark is written, last; a half-made one is made anew. Engines that share a data
folder have a file lock for each: alone who makes or removes one, together who use it.
One that nobody uses is removed UNUSED_DAYS after its mark was last touched; lock files stay.
uv runs as a process, and what takes long in a thread: the loop never waits.
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
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from citadel.errors import AdapterFailed, CitadelError
from engine.pool.file_lock import FileLock
from engine.pool.options import EnvironmentOptions
from engine.pool.output import Lines

OWN_REQUIREMENTS = ("msgpack>=1.1", "pydantic>=2.10")
"""What the worker's own code needs."""
FOLDER = "environments"
REQUIREMENTS, LOCK, MARK = "requirements.in", "requirements.lock", "complete"
NAME_DIGITS = 24
BUILD_SECONDS = 900.0
LOCK_POLL_SECONDS = 0.2
UNUSED_DAYS = 30
"""Days after its last use when an environment is removed."""
TEND_SECONDS = 86_400.0
"""Between two looks at what is used, and what is not any more."""
READ_BYTES = 65_536
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
        self._wanted: set[Path] = set()
        self._used: dict[Path, FileLock] = {}

    def want(self, options: EnvironmentOptions) -> None:
        """A pool has these requirements: their environment stays, however old it is."""
        if self._folder is not None:
            self._wanted.add(self._folder / _name(options.python, _wanted(options)))

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
        wanted = _wanted(options)
        folder = self._folder / _name(options.python, wanted)
        async with self._making.setdefault(folder, asyncio.Lock()):
            if folder not in self._used or not (folder / MARK).exists():
                await self._make(folder, options.python, wanted, pool)
        return str(_python(folder))

    async def tend(self) -> None:
        """Looks after them until it is cancelled."""
        while self._folder is not None:
            await self.look(self._folder)
            await asyncio.sleep(TEND_SECONDS)

    async def look(self, folder: Path) -> None:
        """Marks what is used, and removes what nobody uses any more."""
        for each in self._used:
            _touch(each)
        before = time.time() - UNUSED_DAYS * 86_400
        for name in await asyncio.to_thread(_sweep, folder, self._wanted, before):
            self._tell("environment.removed", name, f"unused for {UNUSED_DAYS} days")

    def close(self) -> None:
        """Uses none any more."""
        for folder in list(self._used):
            self._let_go(folder)

    def _let_go(self, folder: Path) -> None:
        if (lock := self._used.pop(folder, None)) is not None:
            lock.close()

    async def _use(self, folder: Path) -> bool:
        """Keeps others from removing an environment; False when there is no whole one."""
        lock = await _locked(folder, shared=True)
        if (folder / MARK).exists():
            _touch(folder)
            self._used[folder] = lock
            return True
        lock.close()
        return False

    async def _make(self, folder: Path, python: str, wanted: tuple[str, ...], pool: str) -> None:
        when, error = self._failed.get(folder, (float("-inf"), None))
        if error and time.monotonic() - when < FAILED_SECONDS:
            raise error
        self._let_go(folder)
        try:
            async with asyncio.timeout(BUILD_SECONDS):
                while not await self._use(folder):
                    with closing(await _locked(folder)) as lock:
                        if not (folder / MARK).exists():
                            await self._build(folder, python, wanted, pool, lock)
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

    async def _build(
        self, folder: Path, python: str, wanted: tuple[str, ...], pool: str, lock: FileLock
    ) -> None:
        began = time.monotonic()
        self._tell("environment.building", pool, f"{', '.join(wanted)} in {folder.name}")
        await asyncio.to_thread(_begin, folder, wanted)
        ours = str(_python(folder))
        asked, exact = str(folder / REQUIREMENTS), str(folder / LOCK)
        steps = (
            ("venv", "--python", python or sys.executable, str(folder / "venv")),
            ("pip", "compile", "--python", ours, "--generate-hashes", "-q", asked, "-o", exact),
            ("pip", "sync", "--python", ours, "--require-hashes", exact),
        )
        for step in steps:
            await self._uv(step, pool, lock)
        (folder / MARK).touch()
        self._tell("environment.ready", pool, f"after {time.monotonic() - began:.1f} s")

    async def _uv(self, step: tuple[str, ...], pool: str, lock: FileLock) -> None:
        """Runs uv; each line that it says is news. If it outlives the engine, it has the lock.

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
            pass_fds=lock.handed,
        )
        said: deque[str] = deque(maxlen=LAST_LINES)
        lines, more = Lines(), b"-"
        try:
            assert process.stdout is not None
            while more:
                more = await process.stdout.read(READ_BYTES)
                for text in map(str.strip, lines.feed(more) if more else lines.end()):
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


def _sweep(root: Path, wanted: set[Path], before: float) -> list[str]:
    """Removes environments that nobody has used since a time, and says which: a thread."""
    removed: list[str] = []
    ours = root.glob("[0-9a-f]" * NAME_DIGITS + "/")
    for folder in (each for each in ours if each not in wanted):
        with suppress(OSError), FileLock(folder.with_suffix(".lock")) as lock:
            if lock.taken() and _last_use(folder) < before:
                (folder / MARK).unlink(missing_ok=True)  # first: half an environment is none
                shutil.rmtree(folder)
                removed.append(folder.name)
    return removed


def _last_use(folder: Path) -> float:
    mark = folder / MARK
    return (mark if mark.exists() else folder).stat().st_mtime


def _touch(folder: Path) -> None:
    with suppress(OSError):  # a folder that is read-only, or was taken away by hand
        os.utime(folder / MARK)


def _wanted(options: EnvironmentOptions) -> tuple[str, ...]:
    return tuple(sorted({*OWN_REQUIREMENTS, *options.requirements}))


def _name(python: str, wanted: tuple[str, ...]) -> str:
    what = [python or sys.executable, platform.platform(), platform.python_version(), *wanted]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:NAME_DIGITS]


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


async def _locked(folder: Path, *, shared: bool = False) -> FileLock:
    """Takes the lock beside a folder, against other engines too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        lock = undo.enter_context(FileLock(folder.with_suffix(".lock")))
        while not lock.taken(shared=shared):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(LOCK_POLL_SECONDS)
        undo.pop_all()
    return lock
