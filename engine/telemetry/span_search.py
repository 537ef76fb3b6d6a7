"""Searches traces over several span databases, newest first. Pure, but for the files' queries.

A file is asked for pages of its newest traces until enough are found that nothing left can be
newer. Spans of one trace may lie in several files (a day ended meanwhile): its parts are joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from citadel.query import Expr
from engine.telemetry.encode import Row
from engine.telemetry.query_sql import trace_where, where
from engine.telemetry.span_schema import SELECT_TRACE

DAY_NS = 86_400 * 10**9
_FOREVER = 2**63 - 1
_IDS_AT_ONCE = 500


class File(Protocol):
    """What is asked of a file."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query finds."""
        ...


class Opened(Protocol):
    """Opens a file."""

    def __call__(self, path: Path, /) -> AbstractContextManager[File | None]:
        """Opens it, for as long as it is read; None when it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched; a time of 0 is no bound."""

    expression: Expr | None
    limit: int
    since_ns: int = 0
    until_ns: int = 0


@dataclass(slots=True)
class _Found:
    """A trace, or a part of one: as a row of SELECT_TRACE."""

    trace_id: bytes
    name: str
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    flags: int
    mission: str
    mission_class: str
    has_root: int
    named_ns: int
    number: int

    def join(self, other: _Found) -> None:
        """Adds another part, by the rules by which a batch is added to a trace."""
        if (other.has_root, -other.named_ns) > (self.has_root, -self.named_ns):
            self.name, self.named_ns = other.name, other.named_ns
        self.has_root |= other.has_root
        self.start_ns = min(self.start_ns, other.start_ns)
        self.end_ns = max(self.end_ns, other.end_ns)
        self.spans += other.spans
        self.errors += other.errors
        self.flags += other.flags
        self.mission = self.mission or other.mission
        self.mission_class = self.mission_class or other.mission_class

    def row(self) -> Row:
        """As topic `trace_summary` has it."""
        high, low = (int.from_bytes(part, "big") for part in (self.trace_id[:8], self.trace_id[8:]))
        return (
            high,
            low,
            self.name,
            self.start_ns,
            self.end_ns,
            self.spans,
            self.errors,
            self.flags,
            self.mission,
            self.mission_class,
        )


def search(paths: Sequence[Path], opened: Opened, wanted: Wanted) -> list[Row]:
    """Rows of topic `trace_summary`, newest first, of traces with a span that matches."""
    files = sorted(_bounds(paths, opened), key=lambda each: each[2], reverse=True)
    until = wanted.until_ns or _FOREVER
    found: dict[bytes, _Found] = {}
    for number, (path, first, last) in enumerate(files):
        if last < wanted.since_ns:
            break
        if first > min(until, _FOREVER - DAY_NS) + DAY_NS:
            continue
        others = [each[0] for each in files if each[0] != path]
        for page in _pages(path, opened, wanted):
            oldest = page[-1].start_ns
            fresh = {part.trace_id: part for part in page if part.trace_id not in found}
            _join(fresh, others, opened)
            found |= fresh
            if _count(found, wanted, oldest) >= wanted.limit:
                break
        older = max((each[2] for each in files[number + 1 :]), default=-1)
        if _count(found, wanted, older) >= wanted.limit:
            break
    matching = (each for each in found.values() if wanted.since_ns <= each.start_ns <= until)
    newest = sorted(matching, key=lambda each: each.start_ns, reverse=True)
    return [each.row() for each in newest[: wanted.limit]]


def _count(found: dict[bytes, _Found], wanted: Wanted, newer_than: int) -> int:
    """How many of those found are surely before anything that began at that time."""
    low, high = max(newer_than, wanted.since_ns), wanted.until_ns or _FOREVER
    return sum(low <= each.start_ns <= high for each in found.values())


def _bounds(paths: Iterable[Path], opened: Opened) -> Iterator[tuple[Path, int, int]]:
    """Each file that has traces, and when the first and the last of them begins."""
    for path in paths:
        with opened(path) as file:
            if file is None:
                continue
            # Two queries: for each alone SQLite looks at one end of the index.
            ends = [
                file.rows(f"SELECT {each}(start_ns) FROM trace")[0][0]  # noqa: S608 - constants
                for each in ("min", "max")
            ]
        if ends[0] is not None:
            yield path, ends[0], ends[1]


def _pages(path: Path, opened: Opened, wanted: Wanted) -> Iterator[list[_Found]]:
    """The file's parts of traces that match, newest first."""
    clauses, bound = ["(start_ns, id) < (?, ?)"], list[Any]()
    if wanted.since_ns:
        clauses.append("start_ns >= ?")
        bound.append(wanted.since_ns)
    if wanted.until_ns:
        # What has no root may be the rest of a trace that began before.
        clauses.append("(start_ns <= ? OR NOT has_root)")
        bound.append(wanted.until_ns)
    if wanted.expression is not None:
        condition, values = trace_where(wanted.expression)
        clauses.append(condition)
        bound += values
        condition, values = where(wanted.expression)
        clauses.append(
            "EXISTS (SELECT 1 FROM span JOIN scope ON scope.id = span.scope"  # noqa: S608 - values are bound
            f" WHERE span.trace = trace.id AND ({condition}))"
        )
        bound += values
    sql = (
        f"SELECT {SELECT_TRACE} FROM trace WHERE {' AND '.join(clauses)}"  # noqa: S608 - values are bound
        " ORDER BY start_ns DESC, id DESC LIMIT ?"
    )
    before = (_FOREVER, _FOREVER)
    while True:
        with opened(path) as file:
            rows = file.rows(sql, (*before, *bound, wanted.limit)) if file else []
        if rows:
            page = [_Found(*row) for row in rows]
            # Taken before the page is joined with other parts, which may begin earlier.
            before = (page[-1].start_ns, page[-1].number)
            yield page
        if len(rows) < wanted.limit:
            return


def _join(found: dict[bytes, _Found], paths: Iterable[Path], opened: Opened) -> None:
    """Adds the parts that other files have."""
    ids = list(found)
    for path in paths:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            with opened(path) as file:
                rows = (
                    file.rows(
                        f"SELECT {SELECT_TRACE} FROM trace WHERE trace_id IN ({marks})",  # noqa: S608 - marks
                        some,
                    )
                    if file
                    else []
                )
            for row in rows:
                found[row[0]].join(_Found(*row))
