"""Chooses how the workers of each pool are brought to life, and owns what they share: the zygotes.

Loop thread only. Where there is fork (Linux) workers come from a zygote; elsewhere, and when
`CITADEL_SPAWN=plain` says so, each is an interpreter started from nothing. The nodes of a Ray pool
do the same there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from citadel.vocabulary import Severity
from engine.pool.environments import Environments
from engine.pool.fork_spawner import ForkSpawner
from engine.pool.forks import Key, Zygotes
from engine.pool.hosting import Charge
from engine.pool.ray.cluster import Cluster
from engine.pool.settings import PoolSettings
from engine.pool.spawn import Ears, Hosted, Interpreter, PlainSpawner, Spawner
from engine.telemetry.recorder import Recorder

SPAWN_VARIABLE = "CITADEL_SPAWN"
"""`plain`: no zygotes."""
SEVERITIES_OF: dict[str, Severity] = {
    "environment.building": "info",
    "environment.progress": "debug",
    "environment.ready": "info",
    "environment.removed": "info",
    "environment.failed": "error",
    "adapter.not_preloaded": "info",
}


class Births:
    """The spawners of one engine's pools."""

    def __init__(self, recorder: Recorder, folder: Path | None = None) -> None:
        self._recorder = recorder
        self._environments = Environments(folder, self._tell)
        self._forks = sys.platform == "linux" and os.environ.get(SPAWN_VARIABLE) != "plain"
        self._zygotes = Zygotes(self._tell)

    def spawner(self, settings: PoolSettings) -> Spawner:
        """How a pool's workers are started."""
        if settings.backend == "ray":
            return Cluster(settings, self._recorder)
        if settings.environment.requirements:
            self._environments.want(settings.environment)
            return EnvironmentSpawner(settings, self._environments, self._local)
        return self._local(settings, settings.environment.python)

    def _local(self, settings: PoolSettings, python: str) -> Spawner:
        told = settings.environment
        interpreter = Interpreter(python=python, variables=tuple(sorted(told.variables.items())))
        plain = PlainSpawner(interpreter)
        if not self._forks:
            return plain
        adapter = settings.adapter.partition(":")[0] if told.preload_adapter else ""
        key = Key(
            interpreter=interpreter,
            preload=told.preload,
            adapter="" if adapter in told.preload else adapter,
        )
        return ForkSpawner(self._zygotes, key, plain, settings.start_timeout_seconds)

    async def run(self) -> None:
        """Looks after the environments until it is cancelled."""
        await self._environments.tend()

    def close(self) -> None:
        """Ends the zygotes, once the workers have ended, and uses no environment any more."""
        self._zygotes.close()
        self._environments.close()

    def _tell(self, event: str, subject: str, text: str) -> None:
        self._recorder.event(
            event,
            subject=subject,
            severity=SEVERITIES_OF.get(event, "warning"),
            message=text,
            context=None,
        )


class EnvironmentSpawner:
    """Spawns with the interpreter of an environment, once that is made."""

    def __init__(
        self,
        settings: PoolSettings,
        environments: Environments,
        make: Callable[[PoolSettings, str], Spawner],
    ) -> None:
        self._settings = settings
        self._environments = environments
        self._make = make
        self._spawner: Spawner | None = None

    async def ready(self) -> None:
        """Waits for the environment; a worker's start is timed from then on."""
        if self._spawner is None:
            told = self._settings.environment
            python = await self._environments.ready(told, self._settings.name)
            self._spawner = self._spawner or self._make(self._settings, python)
        await self._spawner.ready()

    def renew(self) -> None:
        """As the spawner of that interpreter does."""
        if self._spawner is not None:
            self._spawner.renew()

    def crowded(self) -> str:
        """There is one machine."""
        return ""

    async def spawn(self, charge: Charge, ears: Ears, descriptors: Mapping[str, int]) -> Hosted:
        """As the spawner of that interpreter does."""
        assert self._spawner is not None
        return await self._spawner.spawn(charge, ears, descriptors)
