"""An adapter that tells which interpreter hosts it."""

import sys

from citadel.adapter import Adapter, tool


class Where(Adapter):
    @tool
    def where(self) -> dict[str, str]:
        return {"python": sys.executable, "citadel": sys.modules["citadel"].__file__ or ""}
