"""bridge.lock: which libraries, in which versions and with which signatures, a bridge was made for.

Written by `citadel bridge lock`, compared by `citadel bridge check` and when a worker starts.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from citadel.bridge.surface import Exposed, Surface
from citadel.errors import BadConfig

REMEDY = "Install what is locked, or look at the changes and run: citadel bridge lock MANIFEST"
MAX_DIFFERENCES = 40
"""Lines that are shown; the rest is counted."""


def locked(surface: Surface) -> dict[str, Any]:
    """What a lock of this surface says."""
    modules = sorted({each.module for each in surface.loaded.manifest.libraries})
    return {
        "version": 1,
        "libraries": {module: version(module) for module in modules},
        "tools": {
            name: {
                "source": exposed.source,
                "tier": exposed.shape.tier,
                "signature": exposed.shape.text(),
                "sha256": _digest(exposed),
            }
            for name, exposed in sorted(surface.tools.items())
        },
    }


def text(surface: Surface) -> str:
    """The lock's file."""
    return json.dumps(locked(surface), indent=2, ensure_ascii=False) + "\n"


def differences(surface: Surface) -> list[str]:
    """How the installed libraries differ from the lock, a line each; none without a lock.

    Raises:
        BadConfig: the lock cannot be read.
    """
    path = surface.loaded.lock_path
    if not path.exists():
        return []
    return compared(_read(path), locked(surface))


def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences of two locks, for people."""
    lines: list[str] = []
    for module in sorted({*old["libraries"], *new["libraries"]}):
        was, now = old["libraries"].get(module), new["libraries"].get(module)
        if was is None or now is None:
            lines.append(f"{'+' if was is None else '-'} library {module} {now or was}")
        elif was != now:
            lines.append(f"~ library {module}: {was} is locked, {now} is installed")
    for name in sorted({*old["tools"], *new["tools"]}):
        was, now = old["tools"].get(name), new["tools"].get(name)
        if was is None:
            lines.append(f"+ {name}{now['signature']}")
        elif now is None:
            lines.append(f"- {name}{was['signature']}")
        elif was["sha256"] != now["sha256"]:
            lines.append(f"- {name}{was['signature']} [{was['tier']}]")
            lines.append(f"+ {name}{now['signature']} [{now['tier']}]")
    if len(lines) > MAX_DIFFERENCES:
        more = len(lines) - MAX_DIFFERENCES
        lines = [*lines[:MAX_DIFFERENCES], f"… and {more} more"]
    return lines


def version(module: str) -> str:
    """The version of the library that a module belongs to."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"python {platform.python_version()}"
    said = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(said, str):
        return said
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _digest(exposed: Exposed) -> str:
    shape = exposed.shape
    said = f"{exposed.source}\n{exposed.role}\n{shape.tier}\n{shape.text()}"
    return hashlib.sha256(said.encode()).hexdigest()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        signatures = [
            (each["sha256"], each["signature"], each["tier"]) for each in found["tools"].values()
        ]
        libraries = list(found["libraries"].values())
        if found["version"] != 1 or not all(isinstance(each, str) for each in libraries):
            raise ValueError("it is of another version")
        if not all(isinstance(each, str) for row in signatures for each in row):
            raise ValueError("it holds no signatures")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadConfig(
            f"the lock {path} cannot be read: {type(error).__name__}: {error}",
            subject=str(path),
            remedy="Write it again: citadel bridge lock MANIFEST",
        ) from error
    return found
