"""What an exporter may be, and what its presets fill in."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from citadel.errors import InvalidRequest
from citadel.otlp.config import MASK, address_of, checked, configured, masked, unmasked, url_of
from citadel.otlp.presets import PRESETS
from citadel.wire.messages import ExporterConfig


def test_without_a_preset_the_usual_is_filled_in() -> None:
    config = configured()
    assert (config.name, config.endpoint, config.protocol) == (
        "otlp",
        "http://localhost:4318",
        "http/protobuf",
    )
    assert (config.compression, config.signals) == ("gzip", ("traces",))
    assert configured(protocol="grpc").endpoint == "http://localhost:4317"
    assert configured("otlp") == config


@pytest.mark.parametrize(
    ("preset", "key", "options", "endpoint", "headers"),
    [
        ("honeycomb", "k", {}, "https://api.honeycomb.io", {"x-honeycomb-team": "k"}),
        (
            "honeycomb",
            "env:KEY",
            {"host": "api.eu1.honeycomb.io", "dataset": "d"},
            "https://api.eu1.honeycomb.io",
            {"x-honeycomb-team": "env:KEY", "x-honeycomb-dataset": "d"},
        ),
        (
            "datadog",
            "k",
            {"site": "datadoghq.eu"},
            "https://otlp.datadoghq.eu",
            {"dd-api-key": "k", "dd-protocol": "otlp"},
        ),
        (
            "grafana",
            "k",
            {"zone": "prod-eu-west-0", "instance": "7"},
            "https://otlp-gateway-prod-eu-west-0.grafana.net/otlp",
            {"authorization": f"Basic {base64.b64encode(b'7:k').decode()}"},
        ),
        ("phoenix", "", {}, "http://localhost:6006", {}),
        (
            "phoenix",
            "k",
            {"project": "p"},
            "http://localhost:6006",
            {"authorization": "Bearer k", "x-project-name": "p"},
        ),
        ("mlflow", "", {}, "http://localhost:5000", {"x-mlflow-experiment-id": "0"}),
    ],
)
def test_presets_fill_in_endpoint_and_headers(
    preset: str, key: str, options: dict[str, str], endpoint: str, headers: dict[str, str]
) -> None:
    config = configured(preset, api_key=key, options=options)
    assert (config.endpoint, dict(config.headers)) == (endpoint, headers)
    assert config.preset == preset


def test_what_is_given_wins_over_a_preset() -> None:
    config = configured("phoenix", endpoint="http://there:1", headers={"Authorization": "mine"})
    assert (config.endpoint, config.headers) == ("http://there:1", {"authorization": "mine"})
    assert configured("phoenix", protocol="grpc").endpoint == "http://localhost:4317"


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_says_which_document_it_is_from(preset: str) -> None:
    assert "." in PRESETS[preset].doc
    with pytest.raises(InvalidRequest, match="no option"):
        configured(preset, options={"colour": "red"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "nobody"},
        {"preset": "datadog", "protocol": "grpc"},
        {"preset": "datadog", "signals": ("metrics",)},
        {"preset": "grafana", "api_key": "k"},
        {"api_key": "k"},
        {"endpoint": "localhost:4318"},
        {"endpoint": "ftp://there"},
        {"endpoint": "http://"},
        {"endpoint": "http://there:99999"},
        {"endpoint": "http://me:secret@there"},
        {"endpoint": "http://there/\nx"},
        {"protocol": "http/json"},
        {"compression": "zstd"},
        {"signals": ("profiles",)},
        {"timeout": -1.0},
        {"timeout": 1e9},
        {"queue_limit": -1},
        {"headers": {"bad name": "x"}},
        {"headers": {"host": "x"}},
        {"headers": {"x": "line\nbreak"}},
        {"headers": {"x": "é"}},
        {"headers": {"x": "y" * 5_000}},
        {"headers": {f"x{number}": "y" for number in range(40)}},
        {"name": "no name"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        configured(wrong.pop("preset", ""), **wrong)
    assert "secret" not in refused.value.message
    assert refused.value.remedy


def test_endpoints_are_bases_and_may_name_a_signal() -> None:
    for endpoint in ("http://there:1/otlp", "http://there:1/otlp/", "http://there:1/otlp/v1/logs"):
        assert url_of(configured(endpoint=endpoint), "traces") == "http://there:1/otlp/v1/traces"
    grpc = configured(endpoint="https://there", protocol="grpc")
    assert address_of(grpc) == ("there:443", True)
    assert address_of(configured(endpoint="http://[::1]:5", protocol="grpc")) == ("[::1]:5", False)


def test_secrets_are_masked_and_come_back() -> None:
    config = configured(headers={"x-key": "sesame", "x-other": "env:OTHER"})
    shown = masked(config)
    assert shown.headers == {"x-key": MASK, "x-other": "env:OTHER"}
    assert unmasked(shown, config).headers == config.headers
    changed = ExporterConfig(name="otlp", headers={"X-Key": "new", "x-other": "env:OTHER"})
    assert checked(unmasked(changed, config)).headers["x-key"] == "new"
    with pytest.raises(InvalidRequest, match="cannot be"):
        unmasked(shown, None)
