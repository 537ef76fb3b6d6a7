"""Adapters that take and give large values. Imported by the workers."""

import array
import os
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

import citadel
from citadel import values


class Arrays(citadel.Adapter):
    def setup(self) -> None:
        self.kept: list[Any] = []

    @citadel.tool
    def echo(self, value: Any) -> Any:
        return value

    @citadel.tool
    def about(self, value: Any) -> dict[str, Any]:
        """What a worker sees of an array: is it a view that it cannot write?"""
        return {
            "type": type(value).__name__,
            "sum": float(value.sum()),
            "writeable": bool(value.flags.writeable),
            "owns": bool(value.flags.owndata),
            "aligned": value.ctypes.data % 64 == 0,
        }

    @citadel.tool
    def write(self, value: Any) -> None:
        value[0] = 1

    @citadel.tool
    def keep(self, value: Any) -> None:
        self.kept.append(value)

    @citadel.tool
    def kept_sum(self) -> list[float]:
        return [float(each.sum()) for each in self.kept]

    @citadel.tool
    def forget(self) -> None:
        self.kept.clear()

    @citadel.tool
    def ones(self, count: int) -> Any:
        return np.ones(count)

    @citadel.tool
    def in_place(self, count: int) -> Any:
        made = values.empty(count, "<f8")
        made[:] = 3.0
        return made[1:]

    @citadel.tool
    def table(self, value: Any) -> Any:
        return value.append_column("twice", [[2 * each.as_py() for each in value.column("n")]])

    @citadel.tool
    def raw(self, count: int) -> Any:
        return [array.array("d", range(count)), pickle.PickleBuffer(bytearray(b"x" * count))]

    @citadel.tool
    def five_gigabytes(self) -> Any:
        return np.zeros(5 << 30, np.uint8)  # never touched: this process does not grow

    @citadel.tool
    def five_gigabytes_of_bytes(self) -> bytes:
        return bytes(5 << 30)

    @citadel.tool
    def objects(self) -> Any:
        return np.array([object()], object)

    @citadel.tool
    def wait(self) -> None:
        time.sleep(60)

    @citadel.tool
    def die_when(self, value: Any, started: str, until: str) -> None:
        Path(started).touch()
        while not Path(until).exists():
            time.sleep(0.005)
        self.die(value)

    @citadel.tool
    def die(self, value: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
