"""What the workers of `benchmarks.pool_life` host: light to import."""

from __future__ import annotations

import time

from citadel.adapter import Adapter, tool


class Plain(Adapter):
    """Two tools, as the smallest adapters have."""

    @tool
    def noop(self) -> None:
        """Does nothing."""

    @tool
    def sleep(self, seconds: float = 60.0) -> None:
        """Takes long."""
        time.sleep(seconds)
