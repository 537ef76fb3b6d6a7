"""Reads the settings from where they come from, and says which source a fault is in.

Each source becomes a plain dict; the dicts are merged, later ones winning; the tree of `settings`
validates the whole. A fault raises `BadConfig`, which names the key, its source and the nearest
valid key. Runs before the loop.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from citadel.errors import BadConfig
from engine.section import Section
from engine.settings import ENVIRONMENT_PREFIX, Settings, section_of

Values = dict[str, Any]
Location = Sequence[str | int]

REMEDY = "See all keys: python -m engine.main --example-config"


def load(
    config: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from a TOML file, the environment and flags (a nested dict).

    `defaults` are below all of them, in place of the tree's own.

    Raises:
        BadConfig: a source cannot be read, or a key or value in it is wrong.
    """
    sources: list[tuple[str, Values]] = [("the flags", dict(flags or {}))]
    sources.append(("the environment", _environment()))
    if config is not None:
        sources.append((str(config), _file(config)))
    merged: Values = dict(defaults or {})
    for _, values in reversed(sources):
        merged = _merge(merged, values)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise _bad_config(error, sources) from error


def parse_assignment(text: str) -> Values:
    """The nested dict of a flag KEY.KEY=VALUE; the value is TOML, or else a plain text.

    Raises:
        BadConfig: there is no "=".
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadConfig(f"--set {text!r} is not KEY=VALUE", subject="--set", remedy=REMEDY)
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    return cast("Values", parsed)


def combine(*values: Mapping[str, Any]) -> Values:
    """Nested dicts as one; later ones win."""
    merged: Values = {}
    for each in values:
        merged = _merge(merged, each)
    return merged


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> Values:
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _file(path: Path) -> Values:
    try:
        return _resolved(tomllib.loads(path.read_text(encoding="utf-8")), path)
    except OSError as error:
        raise BadConfig(
            f"cannot read the settings file {path}: {error.strerror}",
            subject=str(path),
            remedy="Give a readable TOML file: --config FILE",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"{path} is no TOML: {error}", subject=str(path), remedy="Correct the file"
        ) from error


def _resolved(values: Values, path: Path) -> Values:
    """Paths of bridges in a settings file are meant from its folder."""
    pools = values.get("pools")
    for pool in cast("list[Any]", pools) if isinstance(pools, list) else []:
        if isinstance(pool, dict) and isinstance(pool.get("bridge"), str) and pool["bridge"]:
            pool["bridge"] = str(path.absolute().parent / pool["bridge"])
    return values


def _environment() -> Values:
    for name in os.environ:
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            key = name[len(ENVIRONMENT_PREFIX) :].split("__")[0].lower()
            if key not in Settings.model_fields:
                raise BadConfig(
                    f"{name} sets {key!r}, which is no setting{_nearest(key, Settings)}",
                    subject=name,
                    remedy=f"Unset it, or correct its name. {REMEDY}",
                )
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise BadConfig(
            f"the environment holds a value that cannot be read: {error}: {error.__cause__}",
            subject="the environment",
            remedy="Lists are JSON: CITADEL_ENGINE_POOLS='[{\"name\": …}]'",
        ) from error


def _bad_config(error: ValidationError, sources: Sequence[tuple[str, Values]]) -> BadConfig:
    faults = error.errors(include_url=False)
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    first: ErrorDetails = (unknown or faults)[0]  # a misspelt key explains a missing one
    location: Location = first["loc"]
    key = _dotted(location) or "the settings"
    held = location[:-1] if first["type"] == "missing" else location
    where = next((name for name, values in sources if _holds(values, held)), "the settings")
    if first["type"] == "extra_forbidden":
        last = str(location[-1])
        parent = _model_at(location[:-1])
        text = f"{where}: {key!r} is no setting{_nearest(last, parent, location[:-1])}"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        # A whole table is not shown: it may hold a secret.
        told = first["type"] != "missing" and not isinstance(first["input"], Mapping)
        given = f" (given {_shown(first['input'])})" if told else ""
        text = f"{where}: {key}: {reason}{given}" if location else f"{where}: {reason}"
    return BadConfig(text, subject=key, remedy=REMEDY, details={"source": where, "key": key})


def _nearest(key: str, model: type[BaseModel] | None, parent: Location = ()) -> str:
    if model is None:
        return ""
    found = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.4)
    if found:
        return f"; did you mean {_dotted([*parent, found[0]])!r}?"
    return f"; keys here are {', '.join(model.model_fields)}"


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _holds(values: Any, location: Location) -> bool:
    """Whether a source has something at a place."""
    for part in location:
        if isinstance(part, int):
            if not isinstance(values, list | tuple) or part >= len(cast("list[Any]", values)):
                return False
            values = cast("list[Any]", values)[part]
        elif isinstance(values, Mapping) and part in values:
            values = cast("Mapping[str, Any]", values)[part]
        else:
            return False
    return bool(values) or bool(location)


def _model_at(location: Location) -> type[BaseModel] | None:
    model: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner: tuple[type[Section], bool] | None = section_of(field.annotation) if field else None
        if inner is None:
            return None
        model = inner[0]
    return model


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
