"""Tools that do what real ones do to their workers: print, compute, grow, remember, crash.

For pictures and for trying the control room out: `docs/make_images.py` and `docs/demo/traffic.py`
run it on a real engine.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
from collections.abc import Iterator

from citadel.adapter import Adapter, check_cancelled, session, tool

PIECE = 1 << 20


class Works(Adapter):
    """A workshop with good and bad habits."""

    def setup(self) -> None:
        """Nothing is kept yet."""
        self._kept: list[bytearray] = []
        print("works: set up", flush=True)

    @tool(idempotent=True)
    def digest(self, name: str, rounds: int = 40) -> str:
        """Hashes for a while, and says how long it took."""
        began = time.perf_counter()
        data = name.encode() * 4096
        for _ in range(rounds):
            check_cancelled()
            data = hashlib.sha512(data * 64).digest() * 64
        spent = (time.perf_counter() - began) * 1000
        print(f"digest {name}: {rounds} rounds in {spent:.1f} ms", flush=True)
        return data[:16].hex()

    @tool
    def fetch(self, name: str, seconds: float = 0.2) -> int:
        """Waits, as for a slow service."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            check_cancelled()
            time.sleep(0.01)
        print(f"fetch {name}: 200 OK", flush=True)
        return len(name)

    @tool
    def cache(self, name: str, mebibytes: int = 2) -> int:
        """Keeps what it is given, and never lets go: a leak."""
        self._kept.append(bytearray(b"x") * (mebibytes * PIECE))
        held = sum(map(len, self._kept)) // PIECE
        print(f"cache {name}: {held} MiB held", flush=True)
        return held

    @tool
    def note(self, step: int) -> int:
        """Remembers a step in its session."""
        found = session()
        if found is not None:
            found.variables["step"] = step
            found.variables["last"] = f"note {step}"
        print(f"note {step}", flush=True)
        return step

    @tool
    def pages(self, count: int) -> Iterator[int]:
        """Gives numbers, one by one."""
        for number in range(count):
            check_cancelled()
            yield number

    @tool
    def decode(self, header: str, offset: int) -> str:
        """Follows a pointer that the input gives: a bug that ends the process."""
        print(f"decode {header}: reading at {offset:#x}", flush=True)
        return str(ctypes.string_at(offset))
