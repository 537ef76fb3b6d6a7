"""The log of sampling decisions: of each trace, kept or not, what decided and when; on disk.

This is what `why` reads. A decision takes 32 bytes and refers to its kind (the root's attributes,
the rule, its revision, the threshold), which is written once. Losses (a full queue, an exporter
that failed) are decisions too, of the traces that they befell. The loop hands over what is new in
chunks; a thread of this log's own writes them. What it could not write, and the stretch before a
crash of which it cannot know, it names as windows.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from citadel.errors import BadConfig
from engine.telemetry.decided import Decision, Match
from engine.telemetry.sorted_log import Records, SortedLog

MAX_CHUNKS = 1_024
"""Chunks that may wait for the writer; more are not written, and named as a window."""
MAX_KINDS = 262_144
"""Kinds of decisions; later ones are written as of an unknown kind."""
MAX_WINDOWS = 100
EXPLAINED_TRACES = 4_000_000
"""Decisions that are kept; more make the oldest go."""
_MASK64 = 2**64 - 1
_UNKNOWN_KIND = 0
Named = tuple[str, int]
"""A command's id, and its trace."""
Chunk = tuple[Sequence[Decision], Sequence[Named]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A decision as the log has it."""

    time_ns: int
    kept: bool
    cause: str
    rule_id: str
    threshold: int
    revision: int
    root: tuple[str, ...]


class DecisionLog:
    """What was decided of traces, and which commands they were of."""

    def __init__(
        self,
        folder: Path,
        *,
        most: int = EXPLAINED_TRACES,
        on_trouble: Callable[[str, str], None] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Opens or makes the log.

        Args:
            folder: where its files are.
            most: decisions that are kept, to within 65,536.
            on_trouble: told an event's name and a text; called from the writer's thread.
            clock: unix nanoseconds.

        Raises:
            BadConfig: the folder cannot be written.
        """
        self._folder = folder
        self._on_trouble = on_trouble
        self._clock = clock
        self._queue: queue.Queue[Chunk | threading.Event | None] = queue.Queue(MAX_CHUNKS)
        self._kinds: dict[tuple[Any, ...], int] = {}
        self._known: list[tuple[Any, ...]] = [("never_seen", "", 0, 0, ())]
        self.lost = 0
        self._missed: deque[tuple[int, int]] = deque(maxlen=MAX_WINDOWS)
        """Decisions that could not be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            last_write = _modified(folder / "decisions" / "journal")
            self._decisions = SortedLog(folder / "decisions", most)
            self._commands = SortedLog(folder / "commands", most)
            self._kinds_path = folder / "kinds.jsonl"
            self._read_kinds()
            self._begin(last_write)
            self._kinds_file = self._kinds_path.open("ab", buffering=0)
        except OSError as error:
            raise BadConfig(
                f"the log of sampling decisions {folder} cannot be written: {error}",
                subject=str(folder),
                remedy="Give a folder that can be written: --data-dir DIR",
            ) from error
        self._thread = threading.Thread(target=self._write_forever, name="decisions", daemon=True)
        self._thread.start()

    # ── loop ─────────────────────────────────────────────────────────────────────────────────────
    def write(self, decisions: Sequence[Decision], commands: Sequence[Named] = ()) -> None:
        """Queues a chunk; one that does not fit is named as a window."""
        try:
            self._queue.put_nowait((decisions, commands))
        except queue.Full:  # the writer notes the window: it is slow enough as it is
            self.lost += len(decisions)
            if decisions:
                self._missed.append((decisions[0][1], decisions[-1][1]))

    async def flush(self) -> None:
        """Waits until what was queued before is written."""
        done = threading.Event()
        await asyncio.to_thread(self._queue.put, done)
        await asyncio.to_thread(done.wait)

    def close(self) -> None:
        """Writes what is queued, then says that the end was an orderly one. Blocks."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    # ── any thread ───────────────────────────────────────────────────────────────────────────────
    def of(self, trace_id: int) -> list[Logged]:
        """All decisions of a trace, the oldest first."""
        hi = trace_id >> 64
        found: list[Logged] = []
        for record_hi, time_ns, kind in self._decisions.find(trace_id & _MASK64):
            if record_hi == hi:
                number = min(kind >> 1, len(self._known) - 1)
                cause, rule_id, limit, revision, root = self._known[number]
                found.append(
                    Logged(
                        time_ns=time_ns,
                        kept=bool(kind & 1),
                        cause=cause,
                        rule_id=rule_id,
                        threshold=limit,
                        revision=revision,
                        root=tuple(root),
                    )
                )
        return found

    def trace_of(self, command_id: str) -> int | None:
        """The trace of a command: the newest, when several had that id."""
        found = self._commands.find(_key_of(command_id))
        return found[-1][0] << 64 | found[-1][1] if found else None

    @property
    def windows(self) -> list[tuple[int, int]]:
        """Stretches of which not every decision is known, in unix nanoseconds."""
        known_since = self.known_since_ns
        windows = (*self._run["windows"], *self._missed)
        return [(since, until) for since, until in windows if until >= known_since]

    @property
    def known_since_ns(self) -> int:
        """Since when every decision is known, but for the windows."""
        return self._run["known_since"]

    # ── the writer's thread ──────────────────────────────────────────────────────────────────────
    def _write_forever(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            decisions, commands = item
            while self._missed:
                self._add_window(*self._missed.popleft())
                self._tell("the queue of sampling decisions was full")
            try:
                if decisions:
                    self._decisions.append(self._records(decisions))
                    self._age()
                if commands:
                    self._commands.append(_command_records(commands, self._clock()))
            except OSError as error:
                self._miss(decisions, str(error))
        self._decisions.close()
        self._commands.close()
        self._kinds_file.close()
        self._run["ended"] = self._clock()
        with contextlib.suppress(OSError):
            self._save_run()

    def _records(self, decisions: Sequence[Decision]) -> Records:
        ids = b"".join([each[0].to_bytes(16, "little") for each in decisions])
        records = np.empty((len(decisions), 4), np.uint64)
        records[:, :2] = np.frombuffer(ids, "<u8").reshape(-1, 2)
        records[:, 2] = [each[1] for each in decisions]
        records[:, 3] = [self._number(each[2]) << 1 | each[3] for each in decisions]
        return records

    def _number(self, found: Match) -> int:
        if found.number < 0:
            root = tuple(found.root)
            kind = (found.cause, found.rule_id, found.threshold, found.revision, root)
            number = self._kinds.get(kind)
            if number is None:
                number = self._add_kind(kind)
            found.number = number
        return found.number

    def _add_kind(self, kind: tuple[Any, ...]) -> int:
        if len(self._known) >= MAX_KINDS:
            return _UNKNOWN_KIND
        # Before the first decision that refers to it, so that it is never missing.
        number, size = len(self._known), self._kinds_file.tell()
        try:
            self._kinds_file.write(json.dumps([number, *kind]).encode() + b"\n")
        except OSError:
            self._kinds_file.truncate(size)
            raise
        self._kinds[kind] = number
        self._known.append(kind)
        return number

    def _miss(self, decisions: Sequence[Decision], cause: str) -> None:
        """Names the stretch of which decisions are missing."""
        if not decisions:
            return
        self.lost += len(decisions)
        self._add_window(decisions[0][1], decisions[-1][1])
        self._tell(f"{len(decisions)} sampling decisions lost: {cause}")

    def _tell(self, text: str) -> None:
        if self._on_trouble:
            self._on_trouble("store.failed", text)

    def _add_window(self, since: int, until: int) -> None:
        windows = self._run["windows"]
        if windows and windows[-1][1] >= since - 1_000_000_000:
            windows[-1][1] = max(until, windows[-1][1])
        else:
            windows.append([since, until])
            del windows[:-MAX_WINDOWS]
        with contextlib.suppress(OSError):
            self._save_run()

    def _age(self) -> None:
        """Since when everything is known moves on when the oldest decisions go."""
        if self._decisions.retired:
            self._decisions.retired = False
            oldest = next(iter(self._decisions.column(2)), None)
            if oldest is not None and len(oldest):
                self._run["known_since"] = int(oldest.min())
                self._save_run()

    # ── at the start ─────────────────────────────────────────────────────────────────────────────
    def _begin(self, last_write: int) -> None:
        """Notes that the engine runs; an earlier run without an end leaves a window."""
        path = self._folder / "run.json"
        now = self._clock()
        run: dict[str, Any] = {"known_since": now, "windows": [], "began": 0, "ended": 0}
        with contextlib.suppress(OSError, ValueError):
            read = json.loads(path.read_text("utf-8"))
            run |= {key: read[key] for key in run if key in read}
        self._run = run
        if run["began"] and not run["ended"]:
            self._add_window(max(run["began"], last_write), now)
        run["began"], run["ended"] = now, 0
        self._save_run()

    def _save_run(self) -> None:
        path = self._folder / "run.json"
        being_made = path.with_suffix(".part")
        being_made.write_text(json.dumps(self._run), "utf-8")
        being_made.replace(path)

    def _read_kinds(self) -> None:
        text = self._kinds_path.read_text("utf-8") if self._kinds_path.exists() else ""
        if text and not text.endswith("\n"):  # the last line was cut short
            with self._kinds_path.open("a", encoding="utf-8") as file:
                file.write("\n")
        for line in text.splitlines()[: MAX_KINDS - 1]:
            try:
                number, cause, rule_id, limit, revision, root = json.loads(line)
                kind = (cause, rule_id, int(limit), int(revision), tuple(root))
                while len(self._known) < min(int(number), MAX_KINDS):
                    self._known.append(self._known[_UNKNOWN_KIND])
            except (ValueError, TypeError):
                kind = self._known[_UNKNOWN_KIND]  # cut short, or tampered with
            self._kinds.setdefault(kind, len(self._known))
            self._known.append(kind)


def _command_records(commands: Sequence[Named], now_ns: int) -> Records:
    records = np.empty((len(commands), 4), np.uint64)
    records[:, 0] = [_key_of(name) for name, _ in commands]
    records[:, 1] = [trace_id >> 64 for _, trace_id in commands]
    records[:, 2] = [trace_id & _MASK64 for _, trace_id in commands]
    records[:, 3] = now_ns
    return records


def _key_of(command_id: str) -> int:
    """An id that the engine made is its own key; any other by its hash."""
    if len(command_id) == 16:
        with contextlib.suppress(ValueError):
            return int(command_id, 16)
    return int.from_bytes(hashlib.blake2b(command_id.encode(), digest_size=8).digest(), "big")


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
