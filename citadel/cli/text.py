"""Numbers, times and texts for people. Pure."""

from __future__ import annotations

import re
import time

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_TIMES = (("ns", 1.0, 999.5), ("µs", 1e3, 999.5), ("ms", 1e6, 999.5), ("s", 1e9, 119.5))
_BYTES = ("B", "kB", "MB", "GB", "TB")


def clean(text: str) -> str:
    """A text that cannot steer the terminal: control characters become a mark."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def headline(text: str) -> str:
    """A text in one line; a traceback in it is left out."""
    told = text.partition("Traceback (most recent call last)")[0]
    return " ".join(told.split()).rstrip(":")


def place(traceback: str) -> str:
    """Where a traceback ends: `file.py:12 in function`; "" when that cannot be told."""
    found = _FRAME.findall(traceback)
    return f"{found[-1][0]}:{found[-1][1]} in {found[-1][2]}" if found else ""


def duration(nanoseconds: float) -> str:
    """For instance 850 ns, 12.4 µs, 3.21 ms, 1.5 s, 4 min 12 s."""
    for unit, of_one, limit in _TIMES:
        if nanoseconds / of_one < limit:
            return f"{nanoseconds / of_one:.3g} {unit}"
    minutes, seconds = divmod(round(nanoseconds / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def size(number: float) -> str:
    """Bytes, for instance 1.2 MB."""
    for unit in _BYTES[:-1]:
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1e3
    return f"{number:.3g} {_BYTES[-1]}"


def count(number: float) -> str:
    """An integer with separators."""
    return f"{number:,.0f}"


def clock(time_ns: int) -> str:
    """Local time of day with milliseconds; "" for 0."""
    if not time_ns:
        return ""
    text = time.strftime("%H:%M:%S", time.localtime(time_ns // 10**9))
    return f"{text}.{time_ns // 10**6 % 1000:03d}"


def date(time_ns: int) -> str:
    """Local date and time; "" for 0."""
    if not time_ns:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns // 10**9))


def ago(time_ns: int, now_ns: int | None = None) -> str:
    """How long ago, for instance "12 s ago"; "" for 0."""
    if not time_ns:
        return ""
    return f"{duration(max(0, (now_ns or time.time_ns()) - time_ns))} ago"
