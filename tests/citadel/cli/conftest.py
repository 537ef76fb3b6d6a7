"""The command line in this process, from arguments to exit code, on a real engine."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from citadel.cli.failure import run
from citadel.cli.root import citadel
from citadel.testing import EngineUnderTest


@dataclass(frozen=True)
class Said:
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line without an engine."""
    for name in ("CITADEL_TOKEN", "CITADEL_CONNECT", "CITADEL_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as caught:
            run(citadel, list(arguments))
        said = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int)
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def cli(bare: Cli, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line on the engine of the tests."""
    monkeypatch.setenv("CITADEL_CONNECT", engine.address)
    monkeypatch.setenv("CITADEL_TOKEN", engine.token)
    return bare
