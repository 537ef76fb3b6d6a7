"""An adapter whose module starts a thread: it cannot be imported before workers are forked."""

import threading

from citadel.adapter import Adapter, tool

# In a zygote, which has no other thread yet, it is one that its interpreter would wait for.
threading.Thread(
    target=threading.Event().wait, name="an adapter's", daemon=threading.active_count() > 1
).start()


class Threaded(Adapter):
    """Works nevertheless."""

    @tool
    def fine(self) -> str:
        """Says so."""
        return "fine"
