"""Ratios that hold on a noisy machine: ours and a peer in turn, in one process, median of rounds.

A cost is anything where less is better (seconds a call, milliseconds a frame). Each round runs the
two adjacent and in alternating order, and gives one ratio; the table shows the median, with the
lowest and the highest beside it. Nothing here judges: bars are stated in the table's last column.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Cost of ours over cost of the peer: the median of the rounds, and their extremes."""

    name: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    low: float
    high: float
    bar: str = ""
    """What the issue asks for, as text."""

    def as_json(self) -> dict[str, float | str]:
        """The row as plain values."""
        return asdict(self)


def interleaved(
    ours: Callable[[], float],
    peer: Callable[[], float],
    *,
    name: str,
    peer_name: str,
    unit: str,
    rounds: int = 5,
    warmup: int = 1,
    bar: str = "",
) -> Ratio:
    """Runs both `warmup + rounds` times in turn; each call does one round and returns its cost."""
    for _ in range(warmup):
        ours()
        peer()
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            theirs = peer()
            pairs.append((ours(), theirs))
        else:
            mine = ours()
            pairs.append((mine, peer()))
    ratios = [mine / theirs for mine, theirs in pairs]
    return Ratio(
        name=name,
        unit=unit,
        ours=statistics.median(mine for mine, _ in pairs),
        peer=statistics.median(theirs for _, theirs in pairs),
        peer_name=peer_name,
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        bar=bar,
    )


async def cost_of_calls(
    call: Callable[[], Awaitable[object]],
    calls: int,
    in_flight: int,
    cost: Callable[[], float] = time.perf_counter,
) -> float:
    """The cost of a call, in the unit of `cost`, with so many at once."""
    left = calls

    async def lane() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    began = cost()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return (cost() - began) / calls


def table(rows: Sequence[Ratio]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| what | ours | peer | ours / peer (lowest–highest) | asked |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.name} | {row.ours:.3g} {row.unit} | {row.peer:.3g} {row.unit} ({row.peer_name}) "
        f"| {row.ratio:.3g} ({row.low:.3g}–{row.high:.3g}) | {row.bar} |"
        for row in rows
    ]
    return "\n".join(lines)
