"""An adapter whose module ends the process that imports it, but for a worker's."""

import os
import threading

from citadel.adapter import Adapter, tool

if threading.active_count() == 1:  # a worker has its heartbeat
    os._exit(0)


class Any(Adapter):
    """Works nevertheless."""

    @tool
    def fine(self) -> str:
        """Says so."""
        return "fine"
