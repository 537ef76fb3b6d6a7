"""The chain's configuration: what the versioned document holds, and which bodies make sense."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from citadel.errors import InvalidRequest
from citadel.wire.messages import DefenseConfig, LayerConfig
from engine.guards.contract import Guard
from engine.storage.versioned import Versioned

DEFAULT_FLAG, DEFAULT_BLOCK, DEFAULT_TIMEOUT_MS = 0.5, 0.85, 250.0


@dataclass(frozen=True, slots=True)
class Body:
    """The configuration's content: what the document stores."""

    strict: bool
    layers: tuple[LayerConfig, ...]


def default_body(layers: Iterable[Guard], *, strict: bool = False) -> Body:
    """Every layer on, with the default thresholds."""
    return Body(
        strict,
        tuple(
            LayerConfig(
                name=layer.name,
                enabled=True,
                flag_threshold=DEFAULT_FLAG,
                block_threshold=DEFAULT_BLOCK,
                timeout_ms=DEFAULT_TIMEOUT_MS,
                title=layer.title,
                description=layer.description,
            )
            for layer in layers
        ),
    )


def encode(body: Body) -> Any:
    """The document's JSON values."""
    return {"strict": body.strict, "layers": [asdict(layer) for layer in body.layers]}


def decode(values: Any) -> Body:
    """The inverse of `encode`."""
    return Body(values["strict"], tuple(LayerConfig(**layer) for layer in values["layers"]))


def checked(known: Body, layers: Sequence[LayerConfig], *, strict: bool) -> Body:
    """A configuration of exactly the layers that are built, with thresholds that make sense.

    Raises:
        InvalidRequest: names the layer and what is wrong.
    """
    built = {config.name: config for config in known.layers}
    names = [layer.name for layer in layers]
    if sorted(names) != sorted(built):
        raise InvalidRequest(
            f"the layers are {', '.join(names) or 'none'}, and must be each of"
            f" {', '.join(built)} once",
            subject="layers",
        )
    for layer in layers:
        if not 0 <= layer.flag_threshold <= layer.block_threshold <= 1:
            raise InvalidRequest(
                f"thresholds of {layer.name} are {layer.flag_threshold:g} (flag) and"
                f" {layer.block_threshold:g} (block)",
                subject=layer.name,
                remedy="0 ≤ flag ≤ block ≤ 1",
            )
        if not 1 <= layer.timeout_ms <= 60_000:
            raise InvalidRequest(
                f"the timeout of {layer.name} is {layer.timeout_ms:g} ms",
                subject=layer.name,
                remedy="1 to 60000",
            )
    return Body(
        strict,
        tuple(
            LayerConfig(
                name=layer.name,
                enabled=layer.enabled,
                flag_threshold=layer.flag_threshold,
                block_threshold=layer.block_threshold,
                timeout_ms=layer.timeout_ms,
                title=built[layer.name].title,
                description=built[layer.name].description,
            )
            for layer in layers
        ),
    )


def completed(known: Body, body: Body) -> Body:
    """A stored configuration for the layers of this engine.

    A layer that was built since is on with its defaults; one that is no more is left out.
    """
    built = {config.name: config for config in known.layers}
    kept = tuple(layer for layer in body.layers if layer.name in built)
    named = {layer.name for layer in kept}
    return Body(body.strict, (*kept, *(built[name] for name in built if name not in named)))


def as_message(current: Versioned[Body], known: Body) -> DefenseConfig:
    """A revision as the wire has it."""
    body = completed(known, current.body)
    return DefenseConfig(
        revision=current.revision,
        strict=body.strict,
        layers=body.layers,
        actor=current.actor,
        reason=current.reason,
        time_unix_nanos=current.time_ns,
    )
