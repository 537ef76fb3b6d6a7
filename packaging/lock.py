"""Writes requirements.lock again from pyproject.toml: `poe lock`. Needs uv (bootstrap installs it).

One lock for every system (`--universal`), with hashes, and with no address of an index in it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Compiles the lock in place; `--upgrade` takes newer releases."""
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"),
            *("--extra", "engine", "--extra", "desktop", "--extra", "otel", "--group", "dev"),
            *("--universal", "--python-version", "3.11", "--generate-hashes"),
            *("--custom-compile-command", "poe lock", "--output-file", "requirements.lock"),
            *("--quiet", *sys.argv[1:]),
        ],
        cwd=ROOT,
        check=True,
    )


if __name__ == "__main__":
    main()
