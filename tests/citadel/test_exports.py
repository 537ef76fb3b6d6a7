"""The public names, and that they load when they are used: a worker must stay light."""

import subprocess
import sys

import citadel

PUBLIC = [
    "TLS",
    "Adapter",
    "Behaviour",
    "Client",
    "call",
    "call_async",
    "cancelled",
    "check_cancelled",
    "connect",
    "connect_sync",
    "errors",
    "remaining",
    "send",
    "session",
    "telemetry",
    "testing",
    "tool",
]


def test_the_public_names_are_these() -> None:
    assert citadel.__all__ == PUBLIC
    assert dir(citadel) == sorted(PUBLIC)


def test_each_public_name_is_there() -> None:
    assert [name for name in PUBLIC if getattr(citadel, name, None) is None] == []


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(citadel, "client_that_is_not_there")


def test_what_a_worker_imports_is_light() -> None:
    code = (
        "import sys, citadel, citadel.adapter, citadel.telemetry\n"
        "citadel.Adapter, citadel.tool, citadel.telemetry, citadel.errors\n"
        "heavy = {'grpc', 'numpy', 'google', 'click', 'rich', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
