"""Rows to column batches and back: one numpy array, or list of texts, a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from citadel.errors import WireError
from citadel.wire.messages import Column, ColumnBatch
from citadel.wire.topics import TOPICS, Topic

MAX_ROWS = 1_000_000
"""The most rows that one batch may claim."""

Table = Mapping[str, "NDArray[Any]"]
"""Columns by name, all of one length; texts are object arrays of str."""


def pack(topic: str, rows: Sequence[Sequence[Any]]) -> ColumnBatch:
    """A batch from rows whose values are in the order of the topic's columns."""
    schema = _schema(topic)
    values: Iterable[Sequence[Any]] = (
        zip(*rows, strict=True) if rows else [()] * len(schema.columns)
    )
    columns = tuple(
        _pack_column(name, kind, column)
        for (name, kind), column in zip(schema.columns.items(), values, strict=True)
    )
    return ColumnBatch(topic=topic, rows=len(rows), columns=columns)


def unpack(batch: ColumnBatch) -> Table:
    """The columns of a batch; a column that the sender did not know is filled with zeros or "".

    Raises:
        WireError: a column is of another length, kind or dictionary than it says.
    """
    schema = _schema(batch.topic)
    if batch.rows > MAX_ROWS:
        raise WireError(f"a {batch.topic} batch claims {batch.rows} rows, more than {MAX_ROWS}")
    sent = {column.name: column for column in batch.columns}
    return {
        name: _unpack_column(sent.get(name), kind, batch.rows, f"{batch.topic}.{name}")
        for name, kind in schema.columns.items()
    }


def rows(table: Table) -> list[dict[str, Any]]:
    """The rows of a table as dicts of plain Python values."""
    columns = [column.tolist() for column in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]


def _schema(topic: str) -> Topic:
    if topic not in TOPICS:
        raise WireError(f"there is no topic {topic!r}; topics are {', '.join(TOPICS)}")
    return TOPICS[topic]


def _pack_column(name: str, kind: str, values: Sequence[Any]) -> Column:
    if kind != "str":
        return Column(name=name, kind=kind, data=np.asarray(values, dtype=f"<{kind}").tobytes())
    codes: dict[str, int] = {}
    data = np.fromiter((codes.setdefault(v, len(codes)) for v in values), "<u4", len(values))
    return Column(name=name, kind=kind, data=data.tobytes(), strings=tuple(codes))


def _unpack_column(column: Column | None, kind: str, count: int, where: str) -> NDArray[Any]:
    if column is None:
        return np.full(count, "", dtype=object) if kind == "str" else np.zeros(count, f"<{kind}")
    if column.kind != kind:
        raise WireError(f"{where} is {column.kind!r}, not {kind!r}")
    dtype = np.dtype("<u4" if kind == "str" else f"<{kind}")
    if len(column.data) != count * dtype.itemsize:
        raise WireError(f"{where} has {len(column.data)} bytes, not {count} × {dtype.itemsize}")
    data = np.frombuffer(column.data, dtype)
    if kind != "str":
        return data
    if count and int(data.max()) >= len(column.strings):
        raise WireError(f"{where} names text {int(data.max())} of {len(column.strings)}")
    return np.array([*column.strings, ""], dtype=object)[data]
