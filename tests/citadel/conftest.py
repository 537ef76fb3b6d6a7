"""One real engine for the tests of client and command line, started by `citadel.testing`."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from citadel.client.client import Client
from citadel.testing import EngineUnderTest, start_engine

ADAPTERS = Path(__file__).parent / "adapters"


@pytest.fixture(scope="session")
def engine() -> Iterator[EngineUnderTest]:
    with start_engine(
        pools={
            "shed": "shed:Shed",
            "broken": "shed:NotThere",
            "python": "engine.sentinels.survey.adapter:SurveyAdapter",
        },
        workers=1,
        python_path=[ADAPTERS],
    ) as engine:
        with engine.sync_client() as client:
            # Its workers are up, and its tools known, once one has answered.
            assert client.pools.call("shed", "add", a=1) == 1
        yield engine


@pytest.fixture
async def client(engine: EngineUnderTest) -> AsyncIterator[Client]:
    async with engine.client() as client:
        yield client


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of Python source to survey."""
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(3):
        (folder / f"module_{number}.py").write_text(
            f'"""Module {number}."""\n\n\ndef f(a):\n    return a if a > {number} else {number}\n',
            encoding="utf-8",
        )
    return folder
