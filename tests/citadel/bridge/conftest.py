"""Manifests of the tests, and the library that they bridge."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from citadel.bridge.manifest import Loaded, load
from citadel.bridge.surface import Surface, resolve

LIBRARIES = Path(__file__).parent / "lib"
Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def sample(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(LIBRARIES))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("bridged_"):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "bridge.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return written


@pytest.fixture
def loaded(write: Write) -> Callable[[str], Loaded]:
    return lambda text: load(write(text))


@pytest.fixture
def surface(write: Write) -> Callable[[str], Surface]:
    return lambda text: resolve(load(write(text)))
