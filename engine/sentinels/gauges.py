"""The sampled values of Sentinels and missions, for metrics. No Sentinel has a label of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from citadel.vocabulary import SENTINEL_STATES
from engine.sentinels.missions import Missions
from engine.sentinels.runtime import SentinelRuntime
from engine.telemetry.pulse import Gauge


def sentinel_gauges(runtime: SentinelRuntime, missions: Missions) -> Iterator[Gauge]:
    """What there is now."""
    sentinels = runtime.list()
    states = Counter(each.state for each in sentinels)
    for state in SENTINEL_STATES:
        yield "citadel.sentinels", {"state": state}, states[state]
    yield "citadel.signal.waiting", {}, sum(each.mailbox for each in sentinels)
    running = sum(each.state == "running" for each in missions.list())
    yield "citadel.missions.running", {}, running
