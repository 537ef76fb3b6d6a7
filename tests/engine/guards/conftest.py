"""A chain over a real operational store, with the layers that ship or with a test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from engine.guards import config
from engine.guards.chain import Chain
from engine.guards.contract import Finding, Guard, GuardRequest
from engine.guards.data_check import DataCheck
from engine.guards.llm_guard import LlmGuard
from engine.storage.store import OperationalStore
from engine.storage.versioned import VersionedDocument
from engine.telemetry.hub import LiveHub
from engine.telemetry.recorder import Recorder

MakeChain = Callable[..., Awaitable[Chain]]


class Scripted:
    """A layer of the test's: answers what it is told to."""

    title = "Scripted"
    description = "Of a test"

    def __init__(
        self, answer: Callable[[GuardRequest], Awaitable[Finding]], name: str = "scripted"
    ) -> None:
        self.name = name
        self._answer = answer

    async def check(self, request: GuardRequest) -> Finding:
        return await self._answer(request)


@pytest.fixture
def hub() -> LiveHub:
    return LiveHub("instance")


@pytest.fixture
def recorder(hub: LiveHub) -> Recorder:
    return Recorder(publish=hub.publish)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[OperationalStore]:
    opened = OperationalStore.in_folder(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def make_chain(store: OperationalStore, recorder: Recorder, hub: LiveHub) -> MakeChain:
    async def make(layers: Sequence[Guard] = (), *, strict: bool = False) -> Chain:
        built = layers or (LlmGuard(), DataCheck())
        document = VersionedDocument(
            "defense",
            config.default_body(built, strict=strict),
            store,
            encode=config.encode,
            decode=config.decode,
            on_audit=lambda entry: hub.publish("audit", entry.row()),
        )
        chain = Chain(built, document, recorder, hub)
        await document.load()
        return chain

    return make
