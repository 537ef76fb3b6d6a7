"""Citadel's public SDK. Names are loaded when they are first used, so that a worker stays light."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from citadel import errors, telemetry, testing
    from citadel.adapter import (
        Adapter,
        call,
        call_async,
        cancelled,
        check_cancelled,
        remaining,
        send,
        session,
        tool,
    )
    from citadel.behaviour import Behaviour
    from citadel.client.client import Client, connect
    from citadel.client.connection import TLS
    from citadel.client.sync import connect_sync

__all__ = [
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

_WHERE = {
    "TLS": "citadel.client.connection",
    "Adapter": "citadel.adapter",
    "Behaviour": "citadel.behaviour",
    "Client": "citadel.client.client",
    "connect": "citadel.client.client",
    "connect_sync": "citadel.client.sync",
    "call": "citadel.adapter",
    "call_async": "citadel.adapter",
    "cancelled": "citadel.adapter",
    "check_cancelled": "citadel.adapter",
    "remaining": "citadel.adapter",
    "send": "citadel.adapter",
    "session": "citadel.adapter",
    "tool": "citadel.adapter",
}


def __getattr__(name: str) -> Any:
    """Loads a public name."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in __all__:
        return import_module(f"citadel.{name}")
    raise AttributeError(f"module 'citadel' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return __all__
