"""An exporter's configuration, whole and checked; what of it is a secret. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from citadel.errors import InvalidRequest
from citadel.otlp.presets import ALL, REFERENCE, filled, preset_named
from citadel.wire.messages import ExporterConfig

HTTP, GRPC = "http/protobuf", "grpc"
DEFAULT_ENDPOINTS = {HTTP: "http://localhost:4318", GRPC: "http://localhost:4317"}
"""OpenTelemetry's."""
COMPRESSIONS = ("gzip", "none")
DEFAULT_TIMEOUT_SECONDS = 10.0
MAX_TIMEOUT_SECONDS = 300.0
DEFAULT_QUEUE_LIMIT = 65_536
MAX_QUEUE_LIMIT = 1_048_576
MAX_HEADERS = 32
MAX_HEADER = 4_096
"""Characters of a header's value."""
MASK = "********"
"""Stands for a secret in what is shown."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OWN_HEADERS = ("content-type", "content-encoding", "content-length", "host", "te", "user-agent")


def configured(
    preset: str = "",
    *,
    name: str = "",
    api_key: str = "",
    endpoint: str = "",
    protocol: str = "",
    headers: Mapping[str, str] | None = None,
    compression: str = "",
    signals: Iterable[str] = (),
    timeout: float = 0.0,
    queue_limit: int = 0,
    paused: bool = False,
    options: Mapping[str, str] | None = None,
) -> ExporterConfig:
    """A configuration from what a person says: the preset ("" or "otlp": none) fills in the rest.

    Raises:
        InvalidRequest: it makes no sense; says what and why.
    """
    given = {key.lower(): value for key, value in (headers or {}).items()}
    preset = "" if preset == "otlp" else preset
    if preset:
        endpoint, protocol, known = filled(
            preset, api_key=api_key, endpoint=endpoint, protocol=protocol, options=options or {}
        )
        given = {**known, **given}
    elif api_key or options:
        raise InvalidRequest(
            "only a preset knows where a key goes", subject="api_key", remedy="Give headers"
        )
    return checked(
        ExporterConfig(
            name=name or preset or "otlp",
            preset=preset,
            endpoint=endpoint,
            protocol=protocol,
            headers=given,
            compression=compression,
            signals=tuple(signals),
            timeout_seconds=timeout,
            queue_limit=queue_limit,
            paused=paused,
        )
    )


def checked(config: ExporterConfig) -> ExporterConfig:
    """The configuration with its defaults filled in.

    Raises:
        InvalidRequest: it makes no sense; says what and why.
    """
    if not _NAME.fullmatch(config.name):
        raise _wrong("name", config.name, "Letters, digits, _ . - and at most 64 of them")
    endpoint, protocol = config.endpoint.strip(), config.protocol
    headers = {key.lower(): value for key, value in config.headers.items()}
    if config.preset:
        endpoint, protocol, known = filled(
            config.preset, api_key="", endpoint=endpoint, protocol=protocol, options={}
        )
        headers = {**known, **headers}
    protocol = protocol or HTTP
    if protocol not in DEFAULT_ENDPOINTS:
        raise _wrong("protocol", protocol, f"Give {' or '.join(DEFAULT_ENDPOINTS)}")
    compression = config.compression or "gzip"
    if compression not in COMPRESSIONS:
        raise _wrong("compression", compression, f"Give {' or '.join(COMPRESSIONS)}")
    for limit, value, most in (
        ("timeout_seconds", config.timeout_seconds, MAX_TIMEOUT_SECONDS),
        ("queue_limit", config.queue_limit, MAX_QUEUE_LIMIT),
    ):
        if not 0 <= value <= most:
            raise _wrong(limit, str(value), f"Give 0 (the default) to {most:g}")
    return replace(
        config,
        endpoint=_checked_endpoint(endpoint or DEFAULT_ENDPOINTS[protocol]),
        protocol=protocol,
        headers=_checked_headers(headers),
        compression=compression,
        signals=_checked_signals(config),
        timeout_seconds=config.timeout_seconds or DEFAULT_TIMEOUT_SECONDS,
        queue_limit=config.queue_limit or DEFAULT_QUEUE_LIMIT,
    )


def url_of(config: ExporterConfig, signal: str) -> str:
    """Where a signal goes over HTTP."""
    base = config.endpoint.rstrip("/")
    for known in ALL:
        base = base.removesuffix(f"/v1/{known}")
    return f"{base}/v1/{signal}"


def address_of(config: ExporterConfig) -> tuple[str, bool]:
    """HOST:PORT for gRPC, and whether it is TLS."""
    parts = urlsplit(config.endpoint)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port or (443 if secure else 4317)}", secure


def headers_of(config: ExporterConfig) -> dict[str, str]:
    """The headers as they are sent, with what the environment has.

    Raises:
        InvalidRequest: it lacks a variable, or has one that cannot be sent.
    """
    found: dict[str, str] = {}
    for key, value in config.headers.items():
        if value.startswith(REFERENCE):
            name = value.removeprefix(REFERENCE)
            sent = os.environ.get(name, "").strip()
            if not sent:
                raise InvalidRequest(
                    f"the header {key} is to come from {name}, which the environment lacks",
                    subject=name,
                    remedy=f"Set {name} where this program is started, then start it again",
                )
            found[key] = _checked_value(key, sent)
        else:
            found[key] = value
    return found


def masked(config: ExporterConfig) -> ExporterConfig:
    """As it may be shown: names of variables are seen, values are not."""
    shown = {
        key: value if value.startswith(REFERENCE) or not value else MASK
        for key, value in config.headers.items()
    }
    parts = urlsplit(config.endpoint)
    endpoint = config.endpoint
    if parts.password or parts.username:
        endpoint = parts._replace(netloc=f"{MASK}@{parts.netloc.rpartition('@')[2]}").geturl()
    return replace(config, headers=shown, endpoint=endpoint)


def unmasked(config: ExporterConfig, present: ExporterConfig | None) -> ExporterConfig:
    """The configuration with the present secrets where it came back masked.

    Raises:
        InvalidRequest: there is no secret that a masked value could stand for.
    """
    known = present.headers if present else {}
    headers = {key.lower(): value for key, value in config.headers.items()}
    for key, value in headers.items():
        if value == MASK:
            if key not in known:
                raise _wrong(f"headers.{key}", MASK, "It is masked, and there is no such header")
            headers[key] = known[key]
    return replace(config, headers=headers)


def _checked_endpoint(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        well = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well, parts = False, urlsplit("")
    if not well or not endpoint.isascii() or any(sign in endpoint for sign in " \r\n\t{}"):
        raise _wrong("endpoint", endpoint, "Give http://HOST:PORT or https://HOST")
    if parts.username or parts.password:
        raise _wrong("endpoint", masked_text(endpoint), "Give who you are in headers, not in a URL")
    return endpoint


def masked_text(endpoint: str) -> str:
    """A URL without who it is for."""
    return re.sub(r"//[^/@]*@", f"//{MASK}@", endpoint)


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    if len(headers) > MAX_HEADERS:
        raise _wrong("headers", f"{len(headers)} of them", f"Give at most {MAX_HEADERS}")
    for key, value in headers.items():
        if not _HEADER.fullmatch(key) or key in _OWN_HEADERS or key.startswith((":", "grpc-")):
            raise _wrong("headers", key, "It is no name of a header that may be set")
        _checked_value(key, value)
    return dict(headers)


def _checked_value(key: str, value: str) -> str:
    if len(value) > MAX_HEADER or not value.isascii() or not value.isprintable():
        raise _wrong(f"headers.{key}", "its value", f"Printable ASCII, at most {MAX_HEADER}")
    return value


def _checked_signals(config: ExporterConfig) -> tuple[str, ...]:
    able = preset_named(config.preset).signals if config.preset else ALL
    if wrong := [signal for signal in config.signals if signal not in able]:
        whose = config.preset or "OTLP"
        raise _wrong("signals", wrong[0], f"{whose} has {', '.join(able)}")
    wanted = config.signals or ("traces",)
    return tuple(signal for signal in ALL if signal in wanted)


def _wrong(what: str, value: str, remedy: str) -> InvalidRequest:
    return InvalidRequest(
        f"an exporter's {what} cannot be {value[:200]!r}", subject=what, remedy=remedy
    )
