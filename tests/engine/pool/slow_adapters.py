"""An adapter whose import takes until a file is there."""

import os
import time
from pathlib import Path

from citadel.adapter import Adapter, tool

while not Path(os.environ["MINE_MAY_GO_ON"]).exists():
    time.sleep(0.01)


class Slow(Adapter):
    """Is there in the end."""

    @tool
    def fine(self) -> str:
        """Says so."""
        return "fine"
