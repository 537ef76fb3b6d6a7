"""Chooses how the workers of each pool are brought to life, and owns what they share: the zygotes.

Loop thread only. Where there is fork (Linux) workers come from a zygote; elsewhere, and when
`CITADEL_SPAWN=plain` says so, each is an interpreter started from nothing. The nodes of a Ray pool
do the same there.
"""

from __future__ import annotations

import os
import sys

from engine.pool.forks import ForkSpawner, Key, Zygotes
from engine.pool.ray.cluster import Cluster
from engine.pool.settings import PoolSettings
from engine.pool.spawn import Interpreter, PlainSpawner, Spawner
from engine.telemetry.recorder import Recorder

SPAWN_VARIABLE = "CITADEL_SPAWN"
"""`plain`: no zygotes."""


class Births:
    """The spawners of one engine's pools."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._forks = sys.platform == "linux" and os.environ.get(SPAWN_VARIABLE) != "plain"
        self._zygotes = Zygotes(self._tell)

    def spawner(self, settings: PoolSettings) -> Spawner:
        """How a pool's workers are started."""
        if settings.backend == "ray":
            return Cluster(settings, self._recorder)
        told = settings.environment
        interpreter = Interpreter(
            python=told.python, variables=tuple(sorted(told.variables.items()))
        )
        plain = PlainSpawner(interpreter)
        if not self._forks:
            return plain
        key = Key(interpreter=interpreter, preload=told.preload)
        return ForkSpawner(self._zygotes, key, plain)

    def close(self) -> None:
        """Ends the zygotes, once the workers have ended."""
        self._zygotes.close()

    def _tell(self, event: str, subject: str, text: str) -> None:
        self._recorder.event(event, subject=subject, severity="warning", message=text, context=None)
