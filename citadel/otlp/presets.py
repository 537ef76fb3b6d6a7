"""Well-known receivers: where each is, and in which header it takes a key. Pure.

Written from what the vendors document; each preset says where. An endpoint is a base URL: the
signal's path (/v1/traces) is added when it is sent over HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from citadel.errors import InvalidRequest

ALL = ("traces", "metrics", "logs")
REFERENCE = "env:"
"""A header's value that begins so names a variable of the environment, read when it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One receiver."""

    name: str
    doc: str
    endpoint: str
    """With {options} in braces."""
    options: Mapping[str, str]
    """What may be set about it, with defaults; "" is: must be given where it is needed."""
    headers: Callable[[str, Mapping[str, str]], dict[str, str]]
    """Of a key ("": none) and the options."""
    protocols: tuple[str, ...] = ("http/protobuf", "grpc")
    signals: tuple[str, ...] = ALL
    grpc_endpoint: str = ""


def _bearer(key: str, options: Mapping[str, str]) -> dict[str, str]:
    headers = {"authorization": key if _refers(key) else f"Bearer {key}"} if key else {}
    if options["project"]:
        headers["x-project-name"] = options["project"]
    return headers


def _honeycomb(key: str, options: Mapping[str, str]) -> dict[str, str]:
    headers = {"x-honeycomb-team": key} if key else {}
    if options["dataset"]:
        headers["x-honeycomb-dataset"] = options["dataset"]
    return headers


def _datadog(key: str, options: Mapping[str, str]) -> dict[str, str]:
    del options
    return {"dd-api-key": key, "dd-protocol": "otlp"} if key else {}


def _grafana(key: str, options: Mapping[str, str]) -> dict[str, str]:
    if not key or _refers(key):
        return {"authorization": key} if key else {}
    if not options["instance"]:
        raise InvalidRequest(
            "Grafana Cloud needs the instance that the token is for",
            subject="instance",
            remedy='Give instance="123456": it is beside the token on the stack\'s OpenTelemetry'
            " page; or headers with the whole Authorization",
        )
    pair = f"{options['instance']}:{key}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _mlflow(key: str, options: Mapping[str, str]) -> dict[str, str]:
    headers = {"x-mlflow-experiment-id": options["experiment"]}
    if key:
        headers["authorization"] = key if _refers(key) else f"Bearer {key}"
    return headers


def _refers(key: str) -> bool:
    """Whether the environment has it: then it is the header's whole value."""
    return key.startswith(REFERENCE)


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                name="honeycomb",
                doc="docs.honeycomb.io, Send Data, OpenTelemetry: x-honeycomb-team has the key;"
                " the EU's host is api.eu1.honeycomb.io; metrics want a dataset",
                endpoint="https://{host}",
                options={"host": "api.honeycomb.io", "dataset": ""},
                headers=_honeycomb,
            ),
            Preset(
                name="datadog",
                doc="docs.datadoghq.com, OTLP Intake Endpoint: dd-api-key, http/protobuf only; its"
                " metrics must be deltas, and ours are cumulative, so traces and logs",
                endpoint="https://otlp.{site}",
                options={"site": "datadoghq.com"},
                headers=_datadog,
                protocols=("http/protobuf",),
                signals=("traces", "logs"),
            ),
            Preset(
                name="grafana",
                doc="grafana.com/docs, Grafana Cloud, Send data using OTLP: Basic instance:token,"
                " http/protobuf only",
                endpoint="https://otlp-gateway-{zone}.grafana.net/otlp",
                options={"zone": "prod-us-east-0", "instance": ""},
                headers=_grafana,
                protocols=("http/protobuf",),
            ),
            Preset(
                name="phoenix",
                doc="arize.com/docs/phoenix, arize-phoenix-otel: HTTP on 6006, gRPC on 4317,"
                " Authorization: Bearer; traces only",
                endpoint="http://localhost:6006",
                grpc_endpoint="http://localhost:4317",
                options={"project": ""},
                headers=_bearer,
                signals=("traces",),
            ),
            Preset(
                name="mlflow",
                doc="mlflow.org/docs, Collect OpenTelemetry Traces into MLflow (3.6 and later):"
                " x-mlflow-experiment-id, http/protobuf only; traces only",
                endpoint="http://localhost:5000",
                options={"experiment": "0"},
                headers=_mlflow,
                protocols=("http/protobuf",),
                signals=("traces",),
            ),
        )
    }
)


def preset_named(name: str) -> Preset:
    """A preset.

    Raises:
        InvalidRequest: there is none of that name.
    """
    if name not in PRESETS:
        raise InvalidRequest(
            f"there is no preset {name!r}",
            subject=name,
            remedy=f"Presets are {', '.join(PRESETS)}; without one, give an endpoint",
        )
    return PRESETS[name]


def filled(
    name: str, *, api_key: str, endpoint: str, protocol: str, options: Mapping[str, str]
) -> tuple[str, str, dict[str, str]]:
    """Endpoint, protocol and headers; what is given wins.

    Raises:
        InvalidRequest: there is no such preset, or it has no such option or protocol.
    """
    preset = preset_named(name)
    if unknown := set(options) - set(preset.options):
        raise InvalidRequest(
            f"the preset {name} has no option {min(unknown)!r}",
            subject=min(unknown),
            remedy=f"It has {', '.join(preset.options)}",
        )
    protocol = protocol or preset.protocols[0]
    if protocol not in preset.protocols:
        raise InvalidRequest(
            f"{name} does not take {protocol}",
            subject=protocol,
            remedy=f"It takes {', '.join(preset.protocols)}",
        )
    known = {**preset.options, **options}
    usual = preset.grpc_endpoint if protocol == "grpc" else ""
    return (
        endpoint or (usual or preset.endpoint).format_map(known),
        protocol,
        preset.headers(api_key, known),
    )
