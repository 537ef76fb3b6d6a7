"""A scrape of 10 k series, against prometheus-client's `generate_latest` of the same collector.

Every value changes between two scrapes, as in an engine that works. Half of the series are counters
and gauges, half are buckets of histograms. Both sides read the same recorder and write the same
page, which is checked.
"""

from __future__ import annotations

import random
import time

from benchmarks.harness import Ratio, interleaved

COUNTERS, GAUGES, HISTOGRAMS = 4_000, 1_000, 210
"""A histogram is 24 series."""
VALUES = 200
"""Durations in each histogram at first."""


def run(rounds: int = 7) -> list[Ratio]:
    """In the text format and in OpenMetrics."""
    return [_row(rounds, openmetrics=False), _row(rounds, openmetrics=True)]


def _row(rounds: int, *, openmetrics: bool) -> Ratio:
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - an extra
    from prometheus_client.openmetrics import exposition  # noqa: PLC0415

    from engine.telemetry.families import Families  # noqa: PLC0415
    from engine.telemetry.hub import LiveHub  # noqa: PLC0415
    from engine.telemetry.prometheus import EngineCollector  # noqa: PLC0415
    from engine.telemetry.pulse import Pulse  # noqa: PLC0415
    from engine.telemetry.recorder import Recorder  # noqa: PLC0415

    recorder, rng = Recorder(), random.Random(4)
    gauge = 0.0

    def change() -> None:
        nonlocal gauge
        gauge += 1.5
        for name in ("commands", "missions", "guard.verdicts", "rpc.requests"):
            labels = _LABELS[name]
            for number in range(COUNTERS // 4):
                values = {labels[0]: f"p{number // 5}", labels[1]: f"o{number % 5}"}
                recorder.count(f"citadel.{name}", **values)
        for number in range(HISTOGRAMS):
            recorder.observe("citadel.command.duration", 2 ** rng.uniform(-12, 4), f"p{number}")
        pulse.beat()

    pulse = Pulse(
        recorder,
        LiveHub("benchmark"),
        lambda: [("citadel.pool.queued", {"pool": f"p{n}"}, gauge + n) for n in range(GAUGES)],
    )
    for number in range(HISTOGRAMS * VALUES):
        subject = f"p{number % HISTOGRAMS}"
        recorder.observe("citadel.command.duration", 2 ** rng.uniform(-12, 4), subject)
    collector = EngineCollector(Families(recorder, pulse))
    registry = CollectorRegistry()
    registry.register(collector)
    latest = exposition.generate_latest if openmetrics else generate_latest

    def ours() -> float:
        change()
        begin = time.perf_counter()
        collector.page.render(openmetrics=openmetrics)
        return time.perf_counter() - begin

    def peer() -> float:
        change()
        begin = time.perf_counter()
        latest(registry)
        return time.perf_counter() - begin

    change()
    written = collector.page.render(openmetrics=openmetrics)
    assert written.count(b"\n") == latest(registry).count(b"\n") > COUNTERS + GAUGES
    return interleaved(
        ours,
        peer,
        name=f"scrape of 10 k series, {'OpenMetrics' if openmetrics else 'text'}",
        peer_name="prometheus-client generate_latest",
        unit="s",
        rounds=rounds,
        bar="≤ 0.5, stretch 0.2",
    )


_LABELS = {
    "commands": ("pool", "outcome"),
    "missions": ("kind", "state"),
    "guard.verdicts": ("layer", "decision"),
    "rpc.requests": ("method", "code"),
}
