"""Whether a pool is tried at all: a sans-IO core. Times are seconds of the caller's clock.

closed: commands pass. When, of at least so many that ended within the window, too large a share was
lost with its worker or ran out of time, it opens: commands are refused at once. After a while it is
half open: one command is tried. When a worker answers that, it closes; when not, it opens again.
"""

from __future__ import annotations

from collections import deque

from citadel.errors import BreakerOpen
from citadel.vocabulary import BreakerState
from engine.pool.options import ResilienceOptions

SLICES = 10
"""The window moves in so many steps."""


class Breaker:
    """The ends of one pool's commands, lately.

    What ended is told as a running total, when a slice of the window is over or something failed:
    a command that ends well costs one comparison with `turn`.
    """

    def __init__(self, pool: str, options: ResilienceOptions) -> None:
        self.state: BreakerState = "closed"
        self.turn = 0.0
        """When the next slice of the window begins: `told` is due then."""
        self._pool = pool
        self._options = options
        self._width = options.breaker_seconds / SLICES
        self._totals: deque[int] = deque([0], maxlen=SLICES)
        """What had ended when each slice began, the present one last."""
        self._bad: deque[int] = deque([0], maxlen=SLICES)
        """What failed in each slice, the present one last."""
        self._opened = 0.0
        self._probing = False

    def enter(self, now: float) -> bool:
        """A command wants in: whether it is the one that is tried.

        Raises:
            BreakerOpen: it is not let in.
        """
        if self.state == "closed":
            return False
        left = self._opened + self._options.breaker_open_seconds - now
        if self.state == "open" and left <= 0.0:
            self.state, self._probing = "half_open", False
        if self.state == "half_open" and not self._probing:
            self._probing = True
            return True
        when = f"one command is tried in {left:.1f} s" if left > 0 else "one command is tried now"
        raise BreakerOpen(f"pool {self._pool} fails too often: {when}", subject=self._pool)

    def told(self, now: float, ended: int) -> None:
        """So many commands have ended in all."""
        if now < self.turn:
            return
        slices = 1 + int((now - self.turn) / self._width)
        for _ in range(min(SLICES, slices)):
            self._totals.append(ended)
            self._bad.append(0)
        self.turn += slices * self._width  # by whole slices: else the window would stretch

    def tried(self) -> None:
        """A worker answered the command that was tried."""
        self.state, self._probing = "closed", False

    def failed(self, now: float, ended: int, *, probe: bool) -> None:
        """A command was lost with its worker, or a worker had it when its time ran out.

        It is not among those that have ended so far.
        """
        if probe:
            self._open(now, ended)
        elif self.state == "closed" and self._options.breaker_share:
            self.told(now, ended)
            self._bad[-1] += 1
            bad = sum(self._bad)
            lately = max(ended - self._totals[0] + 1, bad)
            options = self._options
            if lately >= options.breaker_commands and bad >= options.breaker_share * lately:
                self._open(now, ended)

    def abandoned(self) -> None:
        """The command that was tried ended without an answer, by no fault of the pool's."""
        self._probing = False

    def _open(self, now: float, ended: int) -> None:
        self.state, self._opened, self._probing = "open", now, False
        self._totals.clear()
        self._totals.append(ended)
        self._bad.clear()
        self._bad.append(0)
        self.turn = now + self._width
