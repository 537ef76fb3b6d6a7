"""An adapter in whose process there is no numpy until an array comes. Imported by the workers."""

import sys
from typing import Any

import citadel


class Plain(citadel.Adapter):
    """No numpy in its process until an array comes."""

    @citadel.tool
    def modules(self) -> list[str]:
        return sorted({"numpy", "pyarrow"} & set(sys.modules))

    @citadel.tool
    def length(self, value: Any) -> int:
        return len(value)
