"""What a worker is charged with, how it loads its adapter, and how it tells what went wrong.

Imported by the worker's process: light.
"""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass, field
from typing import Any

from citadel import errors
from citadel.adapter import Adapter
from citadel.bridge import HOSTED
from citadel.errors import AdapterFailed, CitadelError, EngineError
from citadel.tools import BoundTool
from citadel.vocabulary import Profile
from engine.pool import limits

TOKEN_VARIABLE = "CITADEL_WORKER_TOKEN"  # noqa: S105 - a name
MAX_TRACEBACK = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a worker is told when it starts."""

    worker: str
    pool: str
    adapter: str
    engine: int
    """The engine's process id."""
    max_result_bytes: int
    profile: Profile = "process"
    threads: int = 1
    """Commands that it runs at once."""
    beat_seconds: float = 1.0
    """Between two heartbeats."""
    session_limit: int = 1024
    variables_bytes: int = 1 << 20
    """Of one session."""
    threshold_bytes: int = 128 << 10
    """Larger values go through shared memory."""
    limits: dict[str, int | str] = field(default_factory=dict[str, int | str])
    """What it may use; see `engine.pool.limits`."""
    path: list[str] = field(default_factory=list[str])
    """Where modules are looked for. The spawner says it, and what follows."""
    link: str = ""
    """`fd:NUMBER` or `tcp:HOST:PORT`."""
    slate: str = ""
    descriptors: dict[str, int] = field(default_factory=dict[str, int])
    """Those that it is handed besides, by name."""


class Unsendable(Exception):
    """A result that msgpack does not carry."""


def load(name: str) -> tuple[Adapter, dict[str, BoundTool]]:
    """An adapter by `module:Class`, or a bridge by `bridge:manifest`, set up, and its tools.

    Raises:
        AdapterFailed: it does not import, is no Adapter, does not set up, or has no tools.
    """
    try:
        made = _made(name)
        if not isinstance(made, Adapter):
            raise AdapterFailed(f"{name} is no citadel.Adapter", subject=name)
        made.setup()
        tools = made.tools()
    except AdapterFailed:
        raise
    except (Exception, SystemExit) as error:
        raise AdapterFailed(
            f"adapter {name} failed: {type(error).__qualname__}: {_said(error)}",
            subject=name,
            details={"traceback": _trace(error)},
        ) from error
    return made, tools


def _made(name: str) -> Any:
    if name.startswith(HOSTED):
        from citadel.bridge.adapter import BridgeAdapter  # noqa: PLC0415 - others need no YAML

        return BridgeAdapter(name.removeprefix(HOSTED))
    module_name, _, class_name = name.partition(":")
    return getattr(importlib.import_module(module_name), class_name)()


def told(error: BaseException, tool: str) -> list[Any]:
    """An error as class name, message, remedy and details."""
    if isinstance(error, CitadelError):
        details = {_text(key): _text(value) for key, value in error.details.items()}
        return [type(error).__name__, _said(error), _text(error.remedy), details]
    if isinstance(error, Unsendable):
        text = f"{tool} returned something that cannot be sent: {error}"
        remedy = "Return what msgpack carries, a dataclass or a pydantic model"
        return ["CommandFailed", text, remedy, {"type": "Unsendable"}]
    kind = type(error).__qualname__
    details = {"type": kind, "traceback": _trace(error)}
    text = f"{tool} raised {kind}: {_said(error)}"
    if limit := limits.named(error):
        details["limit"] = limit
        return ["CommandFailed", f"{text} ({limit})", "Raise the limit, or ask for less", details]
    return ["CommandFailed", text, "", details]


def error_from(
    kind: str, message: str, remedy: str, details: dict[str, str], subject: str = ""
) -> CitadelError:
    """The typed error that `told` told of."""
    cls = getattr(errors, str(kind), EngineError)
    if not (isinstance(cls, type) and issubclass(cls, CitadelError)):
        cls = EngineError
    known = {str(key): str(value) for key, value in details.items()}
    return cls(str(message), subject=subject, remedy=str(remedy), details=known)


def _trace(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]
    return text.encode("utf-8", "replace").decode()


def _said(error: BaseException) -> str:
    return _text(error)


def _text(value: object) -> str:
    """The text of an error or of a part of it, as a frame takes it; its `__str__` may raise."""
    try:
        return str(value).encode("utf-8", "replace").decode()[:MAX_TRACEBACK]
    except Exception:  # noqa: BLE001 - a user's class may do anything
        return "(its text cannot be read)"
