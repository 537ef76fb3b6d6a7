"""The embedded engine: the window's child, restarted by nobody but the user. Main thread.

It is the same engine as any other, started by `citadel.client.local`; the window then connects to
it as it would to a remote one.
"""

from __future__ import annotations

from pathlib import Path

from citadel.client.local import LocalEngine


class Embedded:
    """At most one engine of our own."""

    def __init__(self, data_dir: Path | None = None, arguments: tuple[str, ...] = ()) -> None:
        self._data_dir = data_dir
        self._arguments = arguments
        self._engine: LocalEngine | None = None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._engine is not None and self._engine.running

    @property
    def pid(self) -> int:
        """Its process id; 0 when there is none."""
        return self._engine.pid if self._engine is not None else 0

    async def start(self) -> tuple[str, str]:
        """Address and token of the engine; starts it when it does not run.

        Raises:
            Unavailable: it did not start; the text has its last words.
        """
        if self._engine is not None and self._engine.running:
            return self._engine.address, self._engine.token
        await self.stop()
        engine = LocalEngine(self._arguments, data_dir=self._data_dir)
        self._engine = engine
        try:
            await engine.start()
        except BaseException:
            await self.stop()
            raise
        return engine.address, engine.token

    async def stop(self) -> None:
        """Ends it, gracefully first."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.stop()

    def last_words(self) -> str:
        """The last lines of its standard error, for notices."""
        return "\n".join(self._engine.stderr) if self._engine is not None else ""
