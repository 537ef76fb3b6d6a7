"""The engine's settings: one typed tree. TOML file < environment < flags.

Every key has a help text, and every number a range; the annotated example file and the check of
unknown keys derive from this tree. Refuses a key or a value that it does not know with `BadConfig`,
which names the key, where it came from, and the nearest key that there is. Runs before the loop.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from citadel.vocabulary import Backend, Profile, Role
from engine.pool.options import (
    EnvironmentOptions,
    HeartbeatOptions,
    LimitOptions,
    MemoryOptions,
    QueueOptions,
    RayOptions,
    RecycleOptions,
    ResilienceOptions,
    ScaleOptions,
    SessionOptions,
)
from engine.section import Name, Section
from engine.telemetry.settings import TelemetrySection

ENVIRONMENT_PREFIX = "CITADEL_ENGINE_"
"""`CITADEL_ENGINE_LISTEN`, `CITADEL_ENGINE_METRICS__LISTEN`: two underscores go one level down."""

DEFAULT_LISTEN = "127.0.0.1:7431"
DEFAULT_METRICS = "127.0.0.1:9464"
SURVEY_ADAPTER = "engine.sentinels.survey.adapter:SurveyAdapter"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT" or "[IPV6]:PORT".

    Raises:
        ValueError: it is no such text.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host, int(port)


def _address(text: str) -> str:
    split_address(text)
    return text


def _address_or_off(text: str) -> str:
    return _address(text) if text else text


def _path_or_none(value: Any) -> Any:
    return None if value == "" else value


OptionalPath = Annotated[Path | None, BeforeValidator(_path_or_none)]
Address = Annotated[str, AfterValidator(_address)]
AddressOrOff = Annotated[str, AfterValidator(_address_or_off)]


class TlsSection(Section):
    """Encryption of the listener."""

    cert: OptionalPath = Field(default=None, description="Certificate chain, a PEM file.")
    key: OptionalPath = Field(default=None, description="Its private key, a PEM file.")
    client_ca: OptionalPath = Field(
        default=None,
        description="Clients must show a certificate of this authority, a PEM file (mTLS).",
    )
    self_signed: bool = Field(
        default=False,
        description="Make a certificate in data_dir and print its fingerprint on stderr.",
    )

    @property
    def on(self) -> bool:
        """Whether the listener speaks TLS."""
        return self.self_signed or self.cert is not None

    @model_validator(mode="after")
    def _whole(self) -> TlsSection:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        if self.self_signed and self.cert is not None:
            raise ValueError("give cert and key, or self_signed, not both")
        if self.client_ca is not None and not self.on:
            raise ValueError("client_ca needs cert and key")
        return self


class TokenSection(Section):
    """One bearer token, kept as its hash."""

    name: Name = Field(description="Who holds it: the actor of the audit trail.")
    role: Role = Field(
        default="viewer", description="viewer reads; operator changes; admin does all."
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the token, 64 hex digits."
    )


class AuthSection(Section):
    """Who may do what."""

    tokens: tuple[TokenSection, ...] = Field(
        default=(), description="Accepted tokens; with none, only loopback is served, as admin."
    )
    allow_plain_remote: bool = Field(
        default=False,
        description="Serve other hosts without TLS: tokens and data cross the network readable.",
    )


class MetricsSection(Section):
    """The page that Prometheus scrapes."""

    listen: AddressOrOff = Field(
        default=DEFAULT_METRICS, description="HOST:PORT of /metrics; empty turns it off."
    )


class PoolSection(Section):
    """A pool of worker processes."""

    name: Name = Field(description="The pool's name.")
    adapter: str = Field(
        default="",
        pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$",
        description='What its workers host: "module:Class". Only classes listed here are imported.',
    )
    bridge: str = Field(
        default="", description="Instead of an adapter: a bridge's manifest, a YAML file."
    )
    backend: Backend = Field(default="local", description="local, or ray: workers on a cluster.")
    profile: Profile = Field(
        default="process",
        description="process: one command a worker; thread, free_threaded: several.",
    )
    threads: int = Field(
        default=4, ge=1, le=256, description="Commands a worker runs at once, in threads."
    )
    size: int = Field(
        default_factory=lambda: max(2, os.cpu_count() or 2),
        ge=0,
        le=1024,
        description="Number of workers.",
    )
    queue_limit: int = Field(
        default=1024, ge=1, le=1_000_000, description="Commands that may wait."
    )
    default_deadline_seconds: float = Field(
        default=60.0, gt=0, le=86_400, description="Deadline of commands that name none."
    )
    start_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="A worker not ready after this has failed to start.",
    )
    grace_seconds: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="From the request to stop a command to its worker's kill.",
    )
    queue: QueueOptions = Field(default_factory=QueueOptions, description="The queue.")
    scale: ScaleOptions = Field(default_factory=ScaleOptions, description="Autoscaling.")
    sessions: SessionOptions = Field(default_factory=SessionOptions, description="Sessions.")
    recycle: RecycleOptions = Field(default_factory=RecycleOptions, description="Recycling.")
    heartbeat: HeartbeatOptions = Field(
        default_factory=HeartbeatOptions, description="Heartbeats of workers."
    )
    limits: LimitOptions = Field(default_factory=LimitOptions, description="Limits of a worker.")
    resilience: ResilienceOptions = Field(
        default_factory=ResilienceOptions, description="Retries, hedging, breaker, poison."
    )
    environment: EnvironmentOptions = Field(
        default_factory=EnvironmentOptions, description="The Python of the workers."
    )
    memory: MemoryOptions = Field(default_factory=MemoryOptions, description="Shared memory.")
    ray: RayOptions = Field(default_factory=RayOptions, description="The Ray cluster.")

    @model_validator(mode="after")
    def _hosts_something(self) -> PoolSection:
        if bool(self.adapter) == bool(self.bridge):
            raise ValueError(f"pool {self.name!r} needs an adapter or a bridge: one of the two")
        if self.backend == "ray" and self.environment.requirements:
            raise ValueError(f"pool {self.name!r}: install its requirements on the nodes of Ray")
        return self


class ProviderSection(Section):
    """Where a chat model is reached."""

    name: Name = Field(description="The provider's name; behaviours ask for it by this.")
    kind: Literal["simulated", "openai"] = Field(
        default="simulated", description="openai: any OpenAI-compatible endpoint."
    )
    model: str = Field(default="", max_length=200, description="The model's name at the endpoint.")
    base_url: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="The endpoint; empty: the client's default.",
    )
    api_key_env: str = Field(
        default="", description="The environment variable that holds the key; empty: no key."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=600, description="An answer must come in this."
    )
    max_retries: int = Field(default=2, ge=0, le=10, description="Tries after the first one.")
    seed: int = Field(default=0, ge=0, le=2**31, description="simulated: varies its answers.")
    latency_ms: float = Field(
        default=5.0, ge=0, le=60_000, description="simulated: mean delay of an answer."
    )
    failure_rate: float = Field(default=0.0, ge=0, le=1, description="simulated: share that fails.")


class GuardsSection(Section):
    """The guards' configuration before anyone changed it; later it lives in the audit trail."""

    strict: bool = Field(
        default=False,
        description="At the first start: flags block, and a layer that fails blocks.",
    )


class SentinelsSection(Section):
    """The supervisor."""

    max_restarts: int = Field(
        default=5, ge=0, le=1000, description="Restarts within window_seconds before a quarantine."
    )
    window_seconds: float = Field(default=60.0, gt=0, le=3600, description="See max_restarts.")

    @property
    def restarts(self) -> dict[str, Any]:
        """What a RestartPolicy is told."""
        return {"max_restarts": self.max_restarts, "within_seconds": self.window_seconds}


def _default_pools() -> tuple[PoolSection, ...]:
    return (PoolSection(name="python", adapter=SURVEY_ADAPTER),)


def _default_providers() -> tuple[ProviderSection, ...]:
    return (ProviderSection(name="simulated", kind="simulated", model="simulated"),)


class Settings(BaseSettings):
    """All that an operator may set."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    listen: Address = Field(
        default=DEFAULT_LISTEN, description="HOST:PORT of gRPC; port 0 picks one."
    )
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("citadel", appauthor=False),
        description="Where the databases and a self-signed certificate live.",
    )
    drain_seconds: float = Field(
        default=10.0, ge=0, le=3600, description="Time that running work gets to end at a stop."
    )
    tls: TlsSection = Field(default_factory=TlsSection, description="Encryption.")
    auth: AuthSection = Field(default_factory=AuthSection, description="Tokens and roles.")
    metrics: MetricsSection = Field(default_factory=MetricsSection, description="Prometheus.")
    pools: tuple[PoolSection, ...] = Field(
        default_factory=_default_pools, description="Pools of worker processes."
    )
    providers: tuple[ProviderSection, ...] = Field(
        default_factory=_default_providers, min_length=1, description="Chat models; first: default."
    )
    guards: GuardsSection = Field(default_factory=GuardsSection, description="The guards.")
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection, description="Telemetry.")
    sentinels: SentinelsSection = Field(default_factory=SentinelsSection, description="Sentinels.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `settings_sources.load` merges, so that it can name the culprit."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _coherent(self) -> Settings:
        for what, names in (
            ("pools", [pool.name for pool in self.pools]),
            ("providers", [provider.name for provider in self.providers]),
            ("telemetry.exporters", [exporter.name for exporter in self.telemetry.exporters]),
            ("auth.tokens", [token.name for token in self.auth.tokens]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{what} has two entries named {min(twice)!r}")
        if not self.loopback and not self.auth.tokens:
            raise ValueError(f"listen {self.listen!r} is open to other hosts, and no token is set")
        if not self.loopback and not self.tls.on and not self.auth.allow_plain_remote:
            raise ValueError(
                f"listen {self.listen!r} is open to other hosts, without TLS: set tls, or"
                " auth.allow_plain_remote"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the listener."""
        return is_loopback(split_address(self.listen)[0])


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine only."""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def example(model: type[BaseModel] = Settings, table: str = "") -> str:
    """The tree as an annotated TOML file: each key with its help, default and range, commented."""
    plain: list[str] = []
    tables: list[str] = []
    for key, field in model.model_fields.items():
        inner = section_of(field.annotation)
        if inner is None:
            default = field.get_default(call_default_factory=True, validated_data={})
            limits = _limits(field.metadata)
            plain += [f"# {field.description}{limits}", f"# {key} = {_toml(default)}", ""]
        else:
            path = f"{table}.{key}" if table else key
            section, many = inner
            heading = f"[[{path}]]" if many else f"[{path}]"
            body = example(section, path)
            tables += [f"# {field.description}", f"# {heading}", body]
    return "\n".join([*plain, *tables])


def section_of(annotation: Any) -> tuple[type[Section], bool] | None:
    """The section that a key holds, and whether it holds many; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    for argument in getattr(annotation, "__args__", ()):
        if isinstance(argument, type) and issubclass(argument, Section):
            return argument, True
    return None


def _limits(metadata: list[Any]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(entry, name):,}"
        for name, sign in signs.items()
        for entry in metadata
        if getattr(entry, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case None:
            return '""'
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return "{}"
        case _ if value.__class__.__name__ == "PydanticUndefinedType":
            return '"…"  # required'
        case _:
            return f'"{value}"'
