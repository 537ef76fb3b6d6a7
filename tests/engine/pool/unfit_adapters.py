"""An adapter whose module starts a thread: it cannot be imported before workers are forked."""

import threading

from citadel.adapter import Adapter, tool

threading.Thread(target=threading.Event().wait, name="an adapter's", daemon=True).start()


class Threaded(Adapter):
    """Works nevertheless."""

    @tool
    def fine(self) -> str:
        """Says so."""
        return "fine"
