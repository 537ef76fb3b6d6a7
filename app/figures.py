"""Numbers and times as people read them: sensible precision, always a unit. Pure; any thread."""

from __future__ import annotations

from datetime import datetime

SECOND = 1_000_000_000
_SMALL = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def count(value: float) -> str:
    """1204 → "1,204"; from a million on "1.20 M"."""
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{value / limit:,.2f} {unit}"
    return f"{value:,.0f}"


def rate(value: float, unit: str = "/s") -> str:
    """A rate: "0.4/s", "38/s", "1,204/s"."""
    digits = 1 if 0 < abs(value) < 10 else 0
    return f"{value:,.{digits}f}{unit}"


def seconds(value: float) -> str:
    """A duration: "840 ns", "3.1 ms", "38 ms", "2.4 s", "3 min 20 s", "2 h 05 min"."""
    if value < 0:
        return "–" + seconds(-value)
    for limit, factor, unit in _SMALL:
        if value < limit:
            scaled = value * factor
            return f"{scaled:.{1 if 0 < scaled < 10 else 0}f} {unit}"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def bytes_(value: float) -> str:
    """A size: "512 B", "38.2 MiB"."""
    for unit in _BYTES[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_BYTES[-1]}"


def share(value: float) -> str:
    """A share: "0 %", "0.5 %", "10 %", "100 %"; never rounded to a false 0 or 100."""
    percent = value * 100
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    text = f"{percent:.2f}" if percent < 1 else f"{percent:.1f}"
    return text.rstrip("0").rstrip(".") + " %"


def ago(time_ns: int, now_ns: int) -> str:
    """How long ago: "now", "12 s", "3 min", "2 h", "5 d"."""
    if not time_ns:
        return ""
    passed = max(now_ns - time_ns, 0) / SECOND
    if passed < 1:
        return "now"
    for limit, divisor, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if passed < limit:
            return f"{passed / divisor:.0f} {unit}"
    return f"{passed / 86_400:.0f} d"


def time_of_day(time_ns: int) -> str:
    """The local time with milliseconds: "02:51:07.314"."""
    if not time_ns:
        return ""
    moment = datetime.fromtimestamp(time_ns / SECOND).astimezone()
    return f"{moment:%H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}"


def moment(time_ns: int) -> str:
    """The full local time, for tooltips: "2026-11-24 02:51:07.314 +00:00"."""
    if not time_ns:
        return ""
    local = datetime.fromtimestamp(time_ns / SECOND).astimezone()
    zone = f"{local:%z}"
    return f"{local:%Y-%m-%d} {time_of_day(time_ns)} {zone[:3]}:{zone[3:]}"


def elapsed(nanoseconds: int) -> str:
    """A running time: "00:12:31"."""
    total = max(nanoseconds, 0) // SECOND
    return f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}"
