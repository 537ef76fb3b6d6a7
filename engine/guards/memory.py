"""What previews look back on: the scores of the last requests, without their texts. Loop thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from citadel.vocabulary import Decision
from citadel.wire.messages import DefensePreview
from engine.guards.config import Body
from engine.guards.contract import Finding, decided, worst

REMEMBERED_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one layer found: its score (none when it failed), and whether it redacted."""

    name: str
    score: float | None
    redacts: bool


@dataclass(frozen=True, slots=True)
class _Request:
    time_ns: int
    layers: tuple[_Layer, ...]


class Memory:
    """The last REMEMBERED_REQUESTS requests that passed the chain."""

    def __init__(self) -> None:
        self._requests: deque[_Request] = deque(maxlen=REMEMBERED_REQUESTS)

    def __len__(self) -> int:
        return len(self._requests)

    def remember(self, time_ns: int, findings: Iterable[tuple[str, Finding | None]]) -> None:
        """Takes a request, with what each layer that was on found."""
        layers = tuple(
            _Layer(name, finding.score if finding else None, bool(finding and finding.redactions))
            for name, finding in findings
        )
        self._requests.append(_Request(time_ns, layers))

    def preview(self, now: Body, then: Body, since_ns: int) -> DefensePreview:
        """What two configurations decide on the requests since then.

        Exact for layers that were on at the time; one that was off has no score to decide on.
        """
        past = [request for request in self._requests if request.time_ns >= since_ns]
        before = [_decision(request, now) for request in past]
        after = [_decision(request, then) for request in past]
        return DefensePreview(
            requests=len(past),
            blocked_now=before.count("block"),
            blocked_then=after.count("block"),
            flagged_now=before.count("flag"),
            flagged_then=after.count("flag"),
        )


def _decision(request: _Request, body: Body) -> Decision:
    configs = {config.name: config for config in body.layers if config.enabled}
    return worst(
        [
            decided(layer.score, configs[layer.name], strict=body.strict, redacts=layer.redacts)
            for layer in request.layers
            if layer.name in configs
        ]
    )
