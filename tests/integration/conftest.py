"""Real engines, real workers, the real client."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from citadel.client.client import Client
from citadel.testing import EngineUnderTest, start_engine

ADAPTERS = Path(__file__).parent / "adapters"
PATIENCE = 60.0


@pytest.fixture(scope="session")
def adapters() -> Path:
    return ADAPTERS


@pytest.fixture(scope="session")
def engine() -> Iterator[EngineUnderTest]:
    """One embedded engine for the tests that leave it as they found it."""
    with start_engine(
        pools={
            "workshop": "workshop:Workshop",
            "python": "engine.sentinels.survey.adapter:SurveyAdapter",
        },
        workers=2,
        python_path=[ADAPTERS],
    ) as engine:
        yield engine
        with engine.sync_client() as client:
            assert client.traces.ledger().residual == 0, "whatever the tests did, no span is lost"


@pytest.fixture
async def client(engine: EngineUnderTest) -> AsyncIterator[Client]:
    async with engine.client() as client:
        yield client


@dataclass
class Headless:
    """An engine started as an operator would."""

    process: asyncio.subprocess.Process
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.said["address"]

    async def end(self, number: int) -> tuple[int, str]:
        """Sends a signal; returns the exit code and what is left of standard error."""
        self.process.send_signal(number)
        _, errors = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


Start = Callable[..., Awaitable[Headless]]
Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def headless(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts `python -m engine.main` with flags; whatever still runs at the end is killed."""
    async with AsyncExitStack() as stack:

        async def start(*arguments: str, **environment: str) -> Headless:
            engine = Headless(await _spawn(tmp_path, arguments, environment))
            stack.push_async_callback(_kill, engine.process)
            assert engine.process.stdout is not None
            line = await asyncio.wait_for(engine.process.stdout.readline(), PATIENCE)
            if not line:
                _, errors = await engine.process.communicate()
                pytest.fail(f"the engine did not start: {errors.decode()}")
            engine.said = json.loads(line)
            return engine

        yield start


@pytest.fixture
def refused(tmp_path: Path) -> Run:
    """Runs an engine that ends by itself: exit code, standard output, standard error."""

    async def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        process = await _spawn(tmp_path, arguments, environment)
        try:
            out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        finally:
            await _kill(process)
        assert process.returncode is not None
        return process.returncode, out.decode(), errors.decode()

    return run


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Waits for something that the engine tells only when asked; returns what it was."""

    async def wait(ask: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (answer := await ask()):
                await asyncio.sleep(0.05)
        return answer

    return wait


async def _spawn(
    folder: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> asyncio.subprocess.Process:
    given = " ".join(arguments)
    defaults = ["--listen", "127.0.0.1:0"] if "--listen" not in given else []
    defaults += ["--metrics", "127.0.0.1:0"] if "--metrics" not in given else []
    defaults += ["--data-dir", str(folder / "data")] if "--data-dir" not in given else []
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine.main",
        *defaults,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, "PYTHONPATH": str(ADAPTERS), **environment},
    )


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()
