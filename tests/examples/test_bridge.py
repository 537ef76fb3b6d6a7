"""The bridge's example runs, and its generated module is what the manifest gives."""

import subprocess
import sys
from pathlib import Path

import pytest

from citadel.bridge import sdk
from citadel.bridge.manifest import load
from citadel.bridge.surface import resolve

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "bridge"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITADEL_ENGINE_DATA_DIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        "mean: 2.3333333333333335",
        "solved: [2. 3.]",
        "below 180: 0.867",
        "failed: []",
    ]
    assert "  Jungfrau: 4158 m" in done.stdout
    assert "is gone: it was released" in done.stdout


def test_the_generated_module_is_fresh() -> None:
    kept = (FOLDER / "maths_sdk.py").read_text(encoding="utf-8")
    made = sdk.generate(resolve(load(FOLDER / "bridge.yaml")), "MathsSdk")
    head, told = (
        [line for line in text.splitlines() if line.startswith("- ")] for text in (kept, made)
    )
    if head != told:
        pytest.skip(f"made for {head}, here are {told}")
    assert kept == made, "run: citadel bridge generate bridge.yaml --out maths_sdk.py"
