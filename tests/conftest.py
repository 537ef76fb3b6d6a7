"""Programs of others that our output is proven on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import bootstrap

pytest_plugins = ("tests.emissions",)


@pytest.fixture(scope="session")
def prometheus_programs() -> Path:
    """The folder with `prometheus` and `promtool`, as Debian packages them."""
    folder = bootstrap.ensure_prometheus()
    if folder is None:
        why = "there is no apt here to get Debian's Prometheus with"
        if os.environ.get("CI") or shutil.which("apt-get"):
            pytest.fail(why)
        pytest.skip(why)
    return folder
