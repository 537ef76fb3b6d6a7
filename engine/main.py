"""Composition root: builds the parts, starts and stops them in order; the only place that wires.

Says one line of JSON on standard output when it serves, and nothing else there; logs go to standard
error. A start that fails says one line, "error: what (what to do)", and exits with 2.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citadel.behaviour import Signal
from citadel.errors import CitadelError
from citadel.wire.messages import EngineInfo, SamplingRule
from engine.api import auth
from engine.api.defense_service import DefenseServicer
from engine.api.dispatch import Dispatcher
from engine.api.engine_service import EngineServicer, announce, describe
from engine.api.exporters_service import ExportersServicer, exporters_of
from engine.api.missions_service import MissionsServicer
from engine.api.otlp_service import OtlpReceiver
from engine.api.pools_service import PoolsServicer
from engine.api.recordings_service import recordings_of
from engine.api.sampling_service import SamplingServicer
from engine.api.sentinels_service import SentinelsServicer
from engine.api.server import Listener
from engine.api.tls import certificate_of
from engine.api.traces_service import TracesServicer
from engine.api.trail import Trail
from engine.command_line import Options, read_options, read_token
from engine.data_folder import owned
from engine.guards import config as guard_config
from engine.guards.chain import Chain
from engine.guards.data_check import DataCheck
from engine.guards.llm_guard import LlmGuard
from engine.lifetime import Lifetime
from engine.pool.asks import Caller
from engine.pool.pools import Pools
from engine.pool.settings import PoolSettings
from engine.providers.chat import ProviderSettings
from engine.providers.providers import Providers
from engine.replay import serve_recording
from engine.sentinels.directives import Performer
from engine.sentinels.gauges import sentinel_gauges
from engine.sentinels.missions import Missions
from engine.sentinels.runtime import SentinelRuntime
from engine.sentinels.supervisor import RestartPolicy
from engine.sentinels.survey.behaviours import BEHAVIOURS
from engine.sentinels.survey.mission import Survey
from engine.settings import (
    PoolSection,
    ProviderSection,
    Settings,
    split_address,
)
from engine.storage.store import OperationalStore
from engine.storage.versioned import VersionedDocument
from engine.telemetry import policy
from engine.telemetry.decisions import DecisionLog
from engine.telemetry.exporters import Exporters
from engine.telemetry.hub import LiveHub
from engine.telemetry.prometheus import metrics_server
from engine.telemetry.pulse import Gauge, Pulse
from engine.telemetry.recorder import Recorder
from engine.telemetry.recordings import Recordings
from engine.telemetry.settings import TelemetrySection
from engine.telemetry.store import SpanStore

COLLECT_AFTER = (20_000, 20, 50)
"""New containers before Python looks for cycles among them, and how often it looks at older ones.
Python's own 700 are a few calls' worth here, and what is found then is nothing."""
CLOSE_SECONDS = 0.5
"""What calls that still run at the end of a drain get to answer."""
BAD_START = 2
INTERRUPTED = 130
_log = logging.getLogger("citadel.engine")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs an engine until it is told to stop; returns the exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    gc.set_threshold(*COLLECT_AFTER)
    try:
        options = read_options(arguments)
        token = read_token() if options.embedded else ""
        if options.recording is not None:
            asyncio.run(serve_recording(options.recording, options, token))
            return 0
        with (
            owned(options.settings.data_dir, spare=options.embedded) as folder,
            asyncio.Runner() as runner,
        ):
            runner.run(_serve(options, token, folder))
    except CitadelError as error:
        sys.stderr.write(
            f"error: {error.message}" + (f" ({error.remedy})\n" if error.remedy else "\n")
        )
        return BAD_START
    except KeyboardInterrupt:  # before the engine listened for it
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - the last one there is
        _log.exception("the engine failed")
        return 1
    return 0


async def _serve(options: Options, token: str, folder: Path) -> None:
    settings = options.settings
    lifetime = Lifetime(embedded=options.embedded, drain_seconds=settings.drain_seconds)
    lifetime.begin()
    async with contextlib.AsyncExitStack() as stack:
        engine = await Engine.build(settings, folder, token, stack)
        await engine.run(lifetime)


@dataclass(kw_only=True)
class Engine:
    """The parts of one engine, wired; `run` starts them, waits, and stops them in order."""

    listener: Listener
    closing: asyncio.Event
    recorder: Recorder
    pulse: Pulse
    exporters: Exporters
    recordings: Recordings
    pools: Pools
    runtime: SentinelRuntime
    missions: Missions
    sampling: SamplingServicer
    address: str
    about: EngineInfo

    @classmethod
    async def build(
        cls, settings: Settings, folder: Path, token: str, stack: contextlib.AsyncExitStack
    ) -> Engine:
        """Builds all parts and takes the ports; what must be closed goes onto the stack.

        Raises:
            CitadelError: a port, a file, a certificate or a provider is not as it should be.
        """
        state = await _state(folder, settings.telemetry, stack)
        hub, recorder, trail = state.hub, state.recorder, state.trail
        sampling, chain = await _policies(settings, state)
        exporters, exporting = await _exporters(settings, state, stack)
        providers = _providers(settings, recorder, stack)
        pools = Pools([_pool(each) for each in settings.pools], recorder, hub, folder)
        doing = Performer(recorder, pools, chain, providers)
        again = RestartPolicy(**settings.sentinels.restarts)
        runtime = SentinelRuntime(BEHAVIOURS, recorder, hub, doing, again)
        pools.asks.signal = _signals(runtime)
        missions = await _missions(state, runtime, stack)
        pulse = _pulse(state, exporters, pools, lambda: sentinel_gauges(runtime, missions))
        scraped = _start_metrics(settings, state, pulse, stack)
        about = describe(hub.instance_id, providers.info, scraped)
        recordings = Recordings(folder / "recordings", hub, recorder, lambda: about)
        servicers = {
            "Engine": EngineServicer(about=about, hub=hub, store=state.store),
            "Pools": PoolsServicer(pools=pools, trail=trail, closing=(closing := asyncio.Event())),
            "Sentinels": SentinelsServicer(runtime=runtime, missions=missions, trail=trail),
            "Missions": MissionsServicer(missions=missions, trail=trail),
            "Traces": TracesServicer(spans=state.spans, recorder=recorder),
            "Sampling": sampling,
            "Defense": DefenseServicer(chain=chain),
            "Exporters": exporting,
            "Recordings": await recordings_of(recordings, state.store, trail),
        }
        listener = _listener(settings, token, recorder, hub, servicers)
        certificate = certificate_of(settings, folder)
        return cls(
            listener=listener,
            closing=closing,
            recorder=recorder,
            pulse=pulse,
            exporters=exporters,
            recordings=recordings,
            pools=pools,
            runtime=runtime,
            missions=missions,
            sampling=sampling,
            address=listener.bind(*split_address(settings.listen), certificate),
            about=about,
        )

    async def run(self, lifetime: Lifetime) -> None:
        """Serves until it is time to stop; then drains and stops everything."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.pulse.run(), name="pulse"),
                tasks.create_task(self.exporters.run(), name="exporters"),
                tasks.create_task(self.recordings.run(), name="recordings"),
                tasks.create_task(self.pools.run(), name="pools"),
                tasks.create_task(self.runtime.run(), name="sentinels"),
                tasks.create_task(self.sampling.run(), name="sampling overrides"),
            ]
            missions = tasks.create_task(self.missions.run(), name="missions")
            await self.runtime.started()
            await self.listener.start()
            gc.freeze()  # what was imported and wired stays: no look at it is worth its time
            self._announce()
            await lifetime.stop.wait()
            missions.cancel()  # they plan more work; what they had begun is what drains
            await self._drain(lifetime)
            for task in reversed(running):
                task.cancel()
        self.recorder.close()  # what the others said last

    def _announce(self) -> None:
        announce(self.address, self.about)
        self.recorder.event("engine.started", subject=self.address)
        _log.info("serves at %s, metrics at %s", self.address, self.about.metrics_address or "none")

    async def _drain(self, lifetime: Lifetime) -> None:
        """Lets running work end, for as long as it may; then ends the calls."""
        _log.info("stops: %s", lifetime.cause)
        self.recorder.event("engine.stopping", message=lifetime.cause)
        self.closing.set()
        await self.listener.serving(now=False)
        async with asyncio.TaskGroup() as tasks:
            hurry = tasks.create_task(
                lifetime.wait_hurry(lifetime.drain_seconds), name="hurry the drain"
            )
            drain = tasks.create_task(self.pools.drain(lifetime.drain_seconds), name="drain")
            await asyncio.wait((hurry, drain), return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            drain.cancel()
        await self.listener.stop(CLOSE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What everything else writes to."""

    hub: LiveHub
    recorder: Recorder
    spans: SpanStore
    store: OperationalStore
    trail: Trail
    decisions: DecisionLog


async def _state(
    folder: Path, telemetry: TelemetrySection, stack: contextlib.AsyncExitStack
) -> _State:
    hub = LiveHub(uuid.uuid4().hex)
    recorder = Recorder(publish=hub.publish)
    hub.extra["span"] = recorder.open_rows
    loop = asyncio.get_running_loop()

    def trouble(name: str, text: str) -> None:
        """Called from the writer's thread."""
        loop.call_soon_threadsafe(
            lambda: recorder.event(name, severity="error", message=text, context=None)
        )

    spans = SpanStore(
        folder / "spans", telemetry.retention, on_trouble=trouble, on_lost=recorder.lost
    )
    stack.push_async_callback(asyncio.to_thread, spans.close)
    recorder.keep_in(spans)
    if spans.set_aside:
        recorder.event("store.set_aside", subject=str(spans.set_aside), severity="warning")
    most = telemetry.explained_traces
    decisions = DecisionLog(folder / "decisions", most=most, on_trouble=trouble)
    stack.push_async_callback(asyncio.to_thread, decisions.close)
    recorder.log_decisions(decisions.write)
    store = OperationalStore.in_folder(folder)
    stack.push_async_callback(store.close)
    await store.open()
    trail = Trail(store, hub, recorder)
    return _State(
        hub=hub, recorder=recorder, spans=spans, store=store, trail=trail, decisions=decisions
    )


async def _policies(settings: Settings, state: _State) -> tuple[SamplingServicer, Chain]:
    """The sampling policy and the guards, each with the newest revision of its document."""
    rules = policy.DEFAULT_RULES
    if settings.telemetry.sample_rate < 1.0:
        rules = (*rules, SamplingRule(id="default", rate=settings.telemetry.sample_rate))
    sampling = VersionedDocument(
        "sampling",
        policy.Policy(rules=rules),
        state.store,
        encode=policy.encode,
        decode=policy.decode,
        on_audit=state.trail.show,
    )
    layers = [LlmGuard(), DataCheck()]
    defense = VersionedDocument(
        "defense",
        guard_config.default_body(layers, strict=settings.guards.strict),
        state.store,
        encode=guard_config.encode,
        decode=guard_config.decode,
        on_audit=state.trail.show,
    )
    servicer = SamplingServicer(sampling, state.recorder, state.hub, state.spans, state.decisions)
    chain = Chain(layers, defense, state.recorder, state.hub)
    await sampling.load()
    await defense.load()
    return servicer, chain


def _listener(
    settings: Settings,
    token: str,
    recorder: Recorder,
    hub: LiveHub,
    servicers: Mapping[str, object],
) -> Listener:
    authenticator = auth.Authenticator(auth.tokens_of(settings, token))
    dispatcher = Dispatcher(authenticator, recorder)
    ours = (dispatcher.handler(name, each) for name, each in servicers.items())
    return Listener((*ours, *OtlpReceiver(authenticator, recorder, hub).handlers()))


def _pulse(
    state: _State, exporters: Exporters, pools: Pools, sentinels: Callable[[], Iterable[Gauge]]
) -> Pulse:
    sources = (pools.gauges, exporters.gauges, state.spans.gauges, sentinels)
    pulse = Pulse(
        state.recorder, state.hub, lambda: [each for source in sources for each in source()]
    )
    exporters.gauges_now = lambda: pulse.gauges
    return pulse


async def _missions(
    state: _State, runtime: SentinelRuntime, stack: contextlib.AsyncExitStack
) -> Missions:
    missions = Missions([Survey], runtime, state.store, state.recorder, state.hub)
    await missions.load()
    stack.push_async_callback(missions.close)
    return missions


def _pool(section: PoolSection) -> PoolSettings:
    return PoolSettings(**{name: getattr(section, name) for name in PoolSection.model_fields})


def _signals(runtime: SentinelRuntime) -> Callable[[str, str, Any, Caller], int]:
    """How tools send signals to Sentinels."""

    def send(to: str, type_: str, data: Any, caller: Caller) -> int:
        told = data if isinstance(data, dict) else {} if data is None else {"value": data}
        command = caller.command
        signal = Signal(type=type_, data=told, source=caller.pool, subject=command.id)
        return runtime.send(to, signal)

    return send


async def _exporters(
    settings: Settings, state: _State, stack: contextlib.AsyncExitStack
) -> tuple[Exporters, ExportersServicer]:
    told, hub = settings.telemetry.exporters, state.hub
    return await exporters_of(state.store, state.trail, hub, state.recorder, told, stack)


def _providers(
    settings: Settings, recorder: Recorder, stack: contextlib.AsyncExitStack
) -> Providers:
    providers = Providers([_provider(each) for each in settings.providers], recorder)
    stack.push_async_callback(providers.close)
    return providers


def _provider(section: ProviderSection) -> ProviderSettings:
    values = section.model_dump()
    values["latency_seconds"] = values.pop("latency_ms") / 1e3
    return ProviderSettings(**values)


def _start_metrics(
    settings: Settings, state: _State, pulse: Pulse, stack: contextlib.AsyncExitStack
) -> str:
    if not settings.metrics.listen:
        return ""
    server = metrics_server(state.recorder, pulse, state.hub.instance_id)
    address = server.start(*split_address(settings.metrics.listen))
    stack.push_async_callback(asyncio.to_thread, server.stop)
    return address


if __name__ == "__main__":
    sys.exit(main())
