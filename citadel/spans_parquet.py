"""Spans as Parquet: a row a span, with columns named and typed as OpenTelemetry's.

Ids are hex as OTLP's JSON has them, times are nanoseconds with UTC, attributes, events and links
are JSON. Needs the extra `parquet` (pyarrow). A file has its name when it is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from citadel import semconv
from citadel.errors import BadConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from citadel.wire.columns import Table

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")
TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "name": "name",
        "status_message": "status_message",
        "trace_state": "trace_state",
        semconv.CITADEL_SOURCE: "source",
        semconv.SERVICE_NAME: "service",
        semconv.CITADEL_MISSION: "mission",
        semconv.CITADEL_MISSION_CLASS: "mission_class",
        semconv.CITADEL_SENTINEL: "sentinel",
        semconv.CITADEL_POOL: "pool",
        "attributes": "attributes",
        "events": "events",
        "links": "links",
    }
)
"""Columns of texts: their names, and those of topic `span`."""
_RANDOM = 2.0**56


def load_arrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        BadConfig: it is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BadConfig(
            "Parquet needs pyarrow, which is not installed",
            subject="pyarrow",
            remedy="Install the extra: pip install 'citadel[parquet]'",
        ) from error
    return pa, parquet


class SpansFile:
    """A Parquet file that spans are written into; a context manager."""

    def __init__(self, path: Path) -> None:
        """Nothing is written yet.

        Raises:
            BadConfig: pyarrow is not installed.
        """
        self._arrow, self._parquet = load_arrow()
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._writer: Any = None
        self.rows = 0
        """Spans that were written."""

    def write(self, table: Table) -> None:
        """Adds spans: topic `span`.

        Raises:
            OSError: the file cannot be written.
        """
        made = self._made(table)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._part, made.schema, compression="zstd")
        self._writer.write_table(made)
        self.rows += made.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Names the file when all went well; else nothing is left of it."""
        if self._writer is None:
            return
        self._writer.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def _made(self, table: Table) -> Any:
        pa = self._arrow
        stamp = pa.timestamp("ns", tz="UTC")
        parents = [f"{each:016x}" if each else None for each in table["parent_id"].tolist()]
        took = table["end_ns"] - table["start_ns"]
        columns: dict[str, Any] = {
            "trace_id": pa.array(_trace_ids(table), pa.string()),
            "span_id": pa.array([f"{each:016x}" for each in table["span_id"].tolist()]),
            "parent_span_id": pa.array(parents, pa.string()),
            "start_time": pa.array(table["start_ns"], pa.int64()).cast(stamp),
            "end_time": pa.array(table["end_ns"], pa.int64()).cast(stamp),
            "duration_ns": pa.array(took, pa.int64()),
            "kind": _named(pa, table["kind"], KINDS),
            "status_code": _named(pa, table["status"], STATUSES),
            "adjusted_count": pa.array(_adjusted(table["threshold"]), pa.float64()),
        }
        for name, column in TEXTS.items():
            columns[name] = pa.array(table[column].tolist(), pa.string())
        return pa.table(columns)


def _trace_ids(table: Table) -> list[str]:
    return [
        f"{high:016x}{low:016x}"
        for high, low in zip(table["trace_hi"].tolist(), table["trace_lo"].tolist(), strict=True)
    ]


def _named(pa: Any, numbers: NDArray[Any], names: tuple[str, ...]) -> Any:
    """Numbers by their OpenTelemetry names; one that has none is the first's."""
    return pa.array([names[n] if n < len(names) else names[0] for n in numbers.tolist()])


def _adjusted(threshold: NDArray[Any]) -> NDArray[np.float64]:
    """How many traces a span's trace stands for; 0 for one that only a keep-rule kept."""
    left = _RANDOM - threshold.astype(float)
    kept = left > 0
    left[~kept] = 1.0
    return kept * (_RANDOM / left)
