"""An adapter for a pool with an environment of its own."""

import sys

import six

from citadel.adapter import Adapter, tool


class Six(Adapter):
    @tool
    def where(self) -> dict[str, str]:
        return {
            "six": six.__file__,
            "citadel": sys.modules["citadel"].__file__ or "",
            "python": sys.executable,
            "packages": " ".join(sorted({name.partition(".")[0] for name in sys.modules})),
        }
