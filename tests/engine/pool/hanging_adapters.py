"""Adapters whose hooks do not return."""

import time

from citadel.adapter import Adapter, tool


class Quiet(Adapter):
    @tool
    def noop(self) -> None: ...


class HangsBetween(Quiet):
    """Its worker hangs when a session has ended, while no command runs."""

    def session_ended(self, key: str) -> None:
        del key
        time.sleep(600)


class HangsAtItsEnd(Quiet):
    def teardown(self) -> None:
        time.sleep(600)
