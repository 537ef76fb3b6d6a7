"""An installed library as a bridge sees it: public names of modules and classes, and shapes.

Imports modules, and calls nothing of them.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from importlib.metadata import packages_distributions
from types import ModuleType
from typing import Any, Literal

from citadel.bridge import shape
from citadel.bridge.kinds import ANY, from_hint
from citadel.bridge.manifest import near
from citadel.bridge.shape import Shape
from citadel.bridge.stubs import Stubs
from citadel.errors import BadConfig, NotFound

_NO_INSTANCES = 1 << 7
"""Py_TPFLAGS_DISALLOW_INSTANTIATION."""

Role = Literal["function", "construct", "method", "static", "attribute"]


def imported(name: str) -> ModuleType:
    """A module, imported.

    Raises:
        NotFound: there is no such module.
        BadConfig: it raised, or ended the process, when it was imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name != missing and not name.startswith(f"{missing}."):
            raise BadConfig(
                f"module {name} needs {missing}, which is not installed here",
                subject=name,
                remedy=f"Install {missing} in the environment that imports {name}",
            ) from error
        raise NotFound(
            f"there is no module {name!r}{near(name, _installed(), 0.75)}",
            subject=name,
            remedy=f"Install it in this environment, or correct the name: {missing}",
        ) from error
    except (Exception, SystemExit) as error:
        raise BadConfig(
            f"module {name} does not import: {type(error).__qualname__}: {error}",
            subject=name,
            remedy="Import it in a Python of the same environment, and correct what it says",
        ) from error


def public(module: ModuleType) -> dict[str, Any]:
    """A module's own public names: its `__all__`, or what it defines itself."""
    inside = vars(module)
    names = inside.get("__all__")
    if isinstance(names, list | tuple):
        return {n: inside[n] for n in names if isinstance(n, str) and n in inside and n[:1] != "_"}
    top = module.__name__.split(".")[0]
    return {
        name: value
        for name, value in inside.items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and _home(value, module).partition(".")[0] in (top, f"_{top}")
    }


def _home(value: Any, module: ModuleType) -> str:
    named = getattr(value, "__module__", None)
    return named if isinstance(named, str) else module.__name__


def members(cls: type[Any]) -> dict[str, Any]:
    """A class's public members as they are stored, nearest first; object's own are left out."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base is not object:
            for name, value in vars(base).items():
                if not name.startswith("_"):
                    found.setdefault(name, value)
    return found


def is_function(value: Any) -> bool:
    """Whether it can be called and is no class or module."""
    return callable(value) and not isinstance(value, type) and not inspect.ismodule(value)


def makeable(cls: type[Any]) -> bool:
    """Whether Python lets one make an object of it: not so of re.Match and other C types."""
    return not cls.__flags__ & _NO_INSTANCES and not inspect.isabstract(cls)


def shape_of(value: Any, module: str, name: str, stubs: Stubs) -> Shape:
    """The shape of a function of a module."""
    return shape.describe(value, "function", stubs.function(module, name))


def shape_of_class(cls: type[Any], module: str, name: str, stubs: Stubs) -> Shape:
    """The shape of a class's construction."""
    stub = stubs.method(module, name, "__init__") or stubs.method(
        cls.__module__, cls.__name__, "__init__"
    )
    return shape.describe(cls, "construct", stub)


def shape_of_member(cls: type[Any], name: str, stored: Any, stubs: Stubs) -> tuple[Role, Shape]:
    """What a class's member is, and its shape."""
    if isinstance(stored, staticmethod | classmethod):
        bound = getattr(cls, name)
        stub = stubs.method(cls.__module__, cls.__name__, name)
        return "static", shape.describe(bound, "static", stub)
    if is_function(stored):
        owner = next((base for base in cls.__mro__ if name in vars(base)), cls)
        stub = stubs.method(owner.__module__, owner.__name__, name)
        return "method", shape.describe(stored, "method", stub)
    getter = stored.fget if isinstance(stored, property) else None
    hint = getattr(getter, "__annotations__", {}).get("return", ANY) if getter else ANY
    known = ANY if hint is ANY or isinstance(hint, str) else from_hint(hint)
    return "attribute", shape.attribute(shape.documentation(stored), known)


def called(holder: Any) -> str:
    """A module's or class's name, for people."""
    if isinstance(holder, type):
        return f"{holder.__module__}.{holder.__qualname__}"
    return str(getattr(holder, "__name__", "the module"))


def _installed() -> list[str]:
    return [*sys.stdlib_module_names, *packages_distributions()]
