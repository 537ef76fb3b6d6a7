"""The Ray actor of a node: starts the node's engine, and says how it ended. Runs in a Ray worker.

Imports no Ray: the driver makes an actor of the class. When Ray ends the actor, however it does,
the node's engine ends with it, and the workers with that.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

from engine.pool.hosting import TOKEN_VARIABLE

LAST_LINES = 20
"""Lines of the node's engine that are kept for its cause of death."""


class Host:
    """One node of a pool."""

    def __init__(self, told: dict[str, Any], token: str) -> None:
        """Starts the node's engine: `told` says where the engine is, and what else to import."""
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [
                *(sys.executable, "-P", "-m"),
                "engine.pool.ray.agent",
                json.dumps({**told, "actor": os.getpid()}),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(_own_path()),
                TOKEN_VARIABLE: token,
            },
        )

    def where(self) -> tuple[str, int, int]:
        """The machine's name, the actor's process id, and that of the node's engine."""
        return socket.gethostname(), os.getpid(), self._process.pid

    def wait(self) -> tuple[int, str]:
        """Returns when the node's engine has ended: its exit code and its last lines."""
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            last = deque(lines, maxlen=LAST_LINES)
        return self._process.wait(), "".join(last)


def _own_path() -> list[str]:
    """What this process can import, without what Ray has for itself."""
    module = sys.modules.get("ray")
    rays = Path(str(module.__file__)).parent if module else None
    return [each for each in sys.path if each and rays not in Path(each).parents]
