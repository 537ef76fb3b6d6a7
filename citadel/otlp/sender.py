"""Sends rows to one receiver from a thread of its own. Whoever gives rows never waits.

Rows wait in a bounded queue; what has no place is dropped and counted. A request that fails in a
way that may pass is sent again, with exponential back-off and jitter, for RETRY_SECONDS; then its
rows are dropped as `unreachable`. Each row is sent, dropped with a cause, or queued: see `Account`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from citadel.otlp import logs, metrics
from citadel.otlp.account import Account, Cause, Figures
from citadel.otlp.config import GRPC
from citadel.otlp.metrics import Help
from citadel.otlp.outcome import Outcome, Transport
from citadel.otlp.resource import Resource
from citadel.otlp.spans import Encoded, SpanEncoder, trace_ids
from citadel.otlp.waiting import MAX_READINGS, Reading, Waiting, Work
from citadel.wire.messages import ExporterConfig

BATCH_ROWS = 2_048
"""Rows of one request."""
BATCH_SECONDS = 0.2
"""Fewer rows wait this long for company."""
REQUEST_BYTES = 3 * 2**20
"""A request that is this large takes no further row: gRPC servers take 4 MiB unless told more."""
RETRY_SECONDS = 60.0
"""How long a request is tried again."""
FIRST_DELAY_SECONDS = 0.25
MAX_DELAY_SECONDS = 15.0
MAX_RETRY_AFTER_SECONDS = 120.0
"""What a receiver may ask for."""

Lost = Callable[[set[int], Cause], None]
"""Told the traces that lost spans, and why; from any thread."""


def transport_of(config: ExporterConfig) -> Transport:
    """The way to a receiver.

    Raises:
        NotReady: what it needs is not installed.
    """
    if config.protocol == GRPC:
        from citadel.otlp.grpc import GrpcTransport  # noqa: PLC0415 - gRPC is slow to import

        return GrpcTransport(config)
    from citadel.otlp.http import HttpTransport  # noqa: PLC0415 - urllib3 is an extra

    return HttpTransport(config)


class Sender:
    """One exporter."""

    def __init__(
        self,
        config: ExporterConfig,
        resource: Resource,
        *,
        lost: Lost | None = None,
        helps: dict[str, Help] | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Starts the thread; `config` must have been checked.

        Raises:
            NotReady: what its protocol needs is not installed.
        """
        self.config = config
        self._transport = transport_of(config)
        self._resource = resource
        self._encoder = SpanEncoder(resource)
        self._lost = lost
        self._helps = helps or {}
        self._retry_seconds = retry_seconds
        self._jitter = random.Random()  # noqa: S311 - no secret
        self._account = Account()
        self._waiting = Waiting()
        self._wake = threading.Condition()
        self._work: Work | None = None
        self._doing = "idle"
        self._failures = 0
        self._not_before = self._due = 0.0
        self._hurry = self._closed = False
        self._end_by: float | None = None
        self.process = os.getpid()
        """Threads do not survive a fork: in another process it is dead."""
        self._thread = threading.Thread(target=self._run, name=f"otlp {config.name}", daemon=True)
        self._thread.start()

    def spans(self, rows: Sequence[Any]) -> None:
        """Takes rows of topic `span`."""
        self._take("traces", rows)

    def logs(self, rows: Sequence[Any]) -> None:
        """Takes rows of topic `event`."""
        self._take("logs", rows)

    def metrics(self, reading: Reading) -> None:
        """Takes a reading of all metrics."""
        points = len(reading.points)
        with self._wake:
            if self._deaf("metrics") or not points:
                return
            full = len(self._waiting.readings) >= MAX_READINGS
            self._account.take(points, 0 if full else points)
            if not full:
                self._waiting.readings.append(reading)
                self._stir()

    def figures(self) -> Figures:
        """How it stands."""
        with self._wake:
            return self._account.figures("paused" if self.config.paused else self._doing)

    def configure(self, config: ExporterConfig) -> None:
        """From now on sends as this says; what waits goes there, too. Counts go on."""
        transport = transport_of(config)
        with self._wake:
            before, self._transport = self._transport, transport
            self.config = config
            self._failures, self._not_before = 0, 0.0
            if self._doing == "failed":
                self._doing = "idle"
            self._wake.notify_all()
        before.close()

    def flush(self, seconds: float) -> bool:
        """Sends what waits now; whether all of it was sent or dropped in that time. Blocks."""
        with self._wake:
            self._hurry = True
            self._wake.notify_all()
            try:
                return self._wake.wait_for(lambda: not self._account.queued, seconds)
            finally:
                self._hurry = False

    def stop(self, seconds: float) -> Figures:
        """Sends what waits for so long, drops the rest as `shutdown`, and ends. Blocks so long."""
        with self._wake:
            self._end_by = time.monotonic() + seconds
            self._wake.notify_all()
        if self.process == os.getpid():
            self._thread.join(seconds)
        with self._wake:
            self._closed = True
            left = self._waiting.clear()
            if self._work and self._work.signal == "traces":
                left += self._work.rows
            self._account.drop("shutdown", self._account.queued)
            self._work = None
            self._wake.notify_all()
        self._transport.close()
        self._tell(left, "shutdown")
        return self.figures()

    def _take(self, signal: str, rows: Sequence[Any]) -> None:
        with self._wake:
            if self._deaf(signal) or not rows:
                return
            room = self._waiting.room(signal, self.config.queue_limit)
            lost = self._account.take(len(rows), room)
            kept = rows[:room] if lost else rows
            if kept:
                self._waiting.add(signal, kept)
                self._stir()
        if lost and signal == "traces":
            self._tell(rows[room:], "queue_full")

    def _deaf(self, signal: str) -> bool:
        config = self.config
        return config.paused or self._end_by is not None or signal not in config.signals

    def _stir(self) -> None:
        """Wakes the thread when it has to look at the clock anew; called with the lock held."""
        waiting = len(self._waiting)
        if not self._due:
            self._due = time.monotonic() + BATCH_SECONDS
            self._wake.notify_all()
        elif waiting >= self._enough():
            self._wake.notify_all()

    def _enough(self) -> int:
        """Rows that need not wait for company."""
        return min(BATCH_ROWS, self.config.queue_limit // 2)

    def _run(self) -> None:
        """The thread: takes work, sends it until it is done with, and again."""
        while (work := self._next()) is not None:
            self._deliver(work)
        self._transport.close()

    def _next(self) -> Work | None:
        """Waits for work; None when it is time to end."""
        with self._wake:
            while not self._closed:
                if not len(self._waiting):
                    self._due = 0.0
                    if self._doing == "sending":
                        self._doing = "idle"
                    if self._end_by is not None:
                        return None
                    self._wake.wait()
                    continue
                if self._end_by is not None and self.config.paused:
                    return None
                pause = self._pause()
                if pause is None:
                    self._work = self._waiting.next(BATCH_ROWS)
                    self._due = time.monotonic() + BATCH_SECONDS if len(self._waiting) else 0.0
                    return self._work
                self._wake.wait(pause)
            return None

    def _pause(self) -> float | None:
        """Seconds until the next request may go; None: now. Called with the lock held."""
        now = time.monotonic()
        if self._end_by is not None:
            return None
        if self.config.paused:
            return 3600.0
        if now < self._not_before:
            return self._not_before - now
        if self._hurry or len(self._waiting) >= self._enough() or now >= self._due:
            return None
        return self._due - now

    def _deliver(self, work: Work) -> None:
        encoded = self._encoded(work)
        give_up = time.monotonic() + self._retry_seconds
        while encoded.rows:
            with self._wake:
                if self._closed or self._work is not work:
                    return
                transport = self._transport
                if self._doing in {"idle", "failed"}:
                    self._doing = "sending"
            outcome = transport.send(work.signal, encoded.data)
            if self._settled(work, encoded, outcome, give_up):
                return

    def _encoded(self, work: Work) -> Encoded:
        """The request; rows that have no place in it go back, what cannot be sent is lost."""
        if work.reading is not None:
            encoded = self._encoded_reading(work.reading)
        elif work.signal == "traces":
            encoded = self._encoder.encode(work.rows, REQUEST_BYTES)
        else:
            encoded = logs.request(self._resource, work.rows, REQUEST_BYTES)
        left = work.rows[encoded.looked_at :]
        del work.rows[encoded.looked_at :]
        invalid = encoded.looked_at - encoded.rows
        with self._wake:
            if self._work is not work:
                return Encoded(b"", 0, 0)
            if left:
                self._waiting.give_back(work, left)
            if invalid:
                self._account.drop("invalid", invalid)
            if not encoded.rows:
                self._done()
        return encoded

    def _encoded_reading(self, reading: Reading) -> Encoded:
        size = len(reading.points)
        try:
            data = metrics.request(
                self._resource,
                reading.points,
                start_ns=reading.start_ns,
                time_ns=reading.time_ns,
                helps=self._helps,
            )
        except (TypeError, ValueError, OverflowError):
            return Encoded(b"", 0, size)
        return Encoded(data, size, size)

    def _settled(self, work: Work, encoded: Encoded, outcome: Outcome, give_up: float) -> bool:
        """Books an answer; whether the request is done with. Waits before the next try."""
        cause: Cause | None = None
        with self._wake:
            if self._closed or self._work is not work:
                return True  # counted as `shutdown` meanwhile
            if outcome.error:
                self._account.fail(outcome.error)
            if outcome.verdict == "accepted":
                self._account.send(work.signal, encoded.rows, outcome.rejected, len(encoded.data))
                if not outcome.error:
                    self._account.error = ""
                self._failures, self._doing = 0, "sending"
                self._done()
                return True
            self._failures += 1
            delay = self._delay(outcome)
            self._not_before = time.monotonic() + delay
            if outcome.verdict == "refused":
                cause = "invalid" if outcome.fault == "environment" else "rejected"
            elif self._end_by is not None and self._not_before >= self._end_by:
                cause = "shutdown"
            elif self._not_before >= give_up:
                cause = "unreachable"
            if cause is None:
                self._doing = "retrying"
                self._account.retries += 1
                self._await_turn(work)
                return False
            self._doing = "failed"
            self._account.drop(cause, encoded.rows)
            self._done()
        if work.signal == "traces":
            self._tell(work.rows, cause)
        return True

    def _delay(self, outcome: Outcome) -> float:
        """Back-off, with half of it left to chance; at least what the receiver asks for."""
        if outcome.verdict == "refused":
            # Others may be accepted, but a receiver that refuses is not to be flooded.
            return min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self._failures, 10) / 2)
        grown = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self._failures - 1, 10))
        delay = grown * (0.5 + self._jitter.random())
        return max(delay, min(outcome.retry_after or 0.0, MAX_RETRY_AFTER_SECONDS))

    def _await_turn(self, work: Work) -> None:
        """Waits for the next try, or an end, or another configuration; with the lock held."""
        while not self._closed and self._work is work:
            pause = self._not_before - time.monotonic()
            ending = self._end_by is not None and self._end_by <= time.monotonic()
            if (pause <= 0 and not self.config.paused) or ending:
                return
            self._wake.wait(pause if pause > 0 else 3600.0)

    def _done(self) -> None:
        self._work = None
        self._wake.notify_all()

    def _tell(self, spans: Sequence[Any], cause: Cause) -> None:
        """Names the traces that lost spans; metrics and logs have none."""
        if spans and self._lost is not None:
            self._lost(trace_ids(spans), cause)
