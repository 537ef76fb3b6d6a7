"""A bridge from a settings file, through gRPC, by a generated module that blocks."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from citadel.bridge import sdk
from citadel.bridge.manifest import load
from citadel.bridge.surface import resolve
from citadel.client.local import LocalEngine
from citadel.client.loop_thread import LoopThread
from citadel.client.sync import connect_sync
from citadel.errors import UnknownReference

MANIFEST = """
version: 1
libraries:
  - {module: numpy.linalg, functions: [norm, inv]}
  - module: collections
    classes: [{name: Counter, construct: true, methods: ["*"]}]
  - module: re
    functions: [{name: finditer, stream: true}]
    classes: [{name: Match, methods: [group]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(MANIFEST, encoding="utf-8")
    (tmp_path / "engine.toml").write_text(
        '[[pools]]\nname = "maths"\nbridge = "bridge.yaml"\nsize = 1\n', encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def engine(folder: Path) -> Iterator[LocalEngine]:
    thread = LoopThread("engine of a test")
    arguments = ["--config", str(folder / "engine.toml"), "--data-dir", str(folder / "data")]
    engine = LocalEngine(arguments)
    try:
        thread.run(engine.start())
        yield engine
        thread.run(engine.stop())
    finally:
        thread.stop()


def test_the_whole_way(folder: Path, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = sdk.generate(resolve(load(folder / "bridge.yaml")), "Maths", sync=True)
    path = folder / "bridged_maths_sdk.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("bridged_maths_sdk", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bridged_maths_sdk", module)
    spec.loader.exec_module(module)
    with connect_sync(engine.address, token=engine.token) as client:
        with module.Maths(client, "maths") as maths:
            assert maths.numpy_linalg.norm([3, 4]) == 5.0
            matrix = np.array([[2.0, 0.0], [0.0, 4.0]])
            assert maths.numpy_linalg.inv(matrix).tolist() == [[0.5, 0.0], [0.0, 0.25]]
            counter = maths.collections.new_counter("aab")
            assert isinstance(counter, module.Counter)
            counter.update("bb")
            assert counter.most_common(1) == [["b", 3]]
            assert maths.fetch(counter) == {"a": 2, "b": 3}
            done = maths.bulk(counter, [["subtract", ["b"]], ["total"]])
            assert done == {"results": [None, 4], "failed": []}
            found = list(maths.re.finditer("a.", "abac"))
            assert [each.group() for each in found] == ["ab", "ac"]
        with pytest.raises(UnknownReference, match="it was released"):
            counter.total()
        tools = {each.name: each for each in client.pools.tools("maths")}
    assert json.loads(tools["numpy.linalg.norm"].input_schema)["required"] == ["x"]
    assert tools["re.finditer"].streams_out
