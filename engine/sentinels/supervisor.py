"""What becomes of a Sentinel that failed: a pure core. Time and randomness are parameters.

Restart intensity as in OTP: more than `max_restarts` within `within_seconds` is a fault that
restarting does not mend; the Sentinel is quarantined until an operator restarts it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How often a Sentinel may be restarted, and how long to wait. Times are in seconds."""

    max_restarts: int = 5
    within_seconds: float = 60.0
    first_backoff: float = 0.1
    backoff_factor: float = 2.0
    max_backoff: float = 10.0
    jitter: float = 0.2
    """The share of a wait that is random."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after a wait."""

    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Do not start it again."""

    reason: str


def on_failure(
    policy: RestartPolicy, restarts: tuple[float, ...], now: float, random: float, what: str
) -> tuple[tuple[float, ...], Restart | Quarantine]:
    """Decides on a failure.

    Args:
        policy: the limits.
        restarts: the times of earlier restarts.
        now: the time of the failure.
        random: uniform from 0 to 1.
        what: what failed, for the reason.

    Returns:
        The restarts that still count, with this one; and the decision.
    """
    recent = tuple(at for at in restarts if now - at < policy.within_seconds)
    if len(recent) >= policy.max_restarts:
        return recent, Quarantine(
            f"failed {len(recent) + 1} times within {policy.within_seconds:g} s, last: {what}"
        )
    wait = min(policy.first_backoff * policy.backoff_factor ** len(recent), policy.max_backoff)
    return (*recent, now), Restart(wait * (1 + policy.jitter * random))
