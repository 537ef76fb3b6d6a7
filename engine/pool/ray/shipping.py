"""How a node of a Ray cluster gets the code: what it is told to import, or what Ray uploads."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import citadel
import engine
from citadel.errors import BadConfig
from engine.pool.settings import PoolSettings


def paths(settings: PoolSettings) -> list[str]:
    """Folders that nodes import from: the engine's own, where both see the same files."""
    if not _shared(settings):
        return []
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return list(dict.fromkeys(str(Path(each).absolute()) for each in (*named, *sys.path) if each))


def uploads(settings: PoolSettings) -> tuple[str, ...]:
    """The folders and files of the modules that Ray copies to the nodes, with `upload`.

    Raises:
        BadConfig: a module to upload is not found.
    """
    if settings.ray.code != "upload":
        return ()
    modules = (settings.adapter.partition(":")[0], *settings.ray.modules)
    # Whole packages: to look for what is in one would import it here.
    named = [_place(name.partition(".")[0]) for name in modules if name]
    packages = [str(Path(str(each.__file__)).parent) for each in (citadel, engine)]
    return tuple(dict.fromkeys([*packages, *named]))


def _shared(settings: PoolSettings) -> bool:
    code = settings.ray.code
    return code == "shared" or (code == "auto" and not settings.ray.address)


def _place(module: str) -> str:
    """The folder or the file of a module, found without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # one that was loaded without a spec
        spec = None
    if spec is None or spec.origin is None:
        raise BadConfig(
            f"module {module!r} is not found, so it cannot be uploaded to Ray's nodes",
            subject="ray.modules",
            remedy="Install it here, or take it out of ray.modules",
        )
    origin = Path(spec.origin)
    return str(origin.parent if origin.name == "__init__.py" else origin)
