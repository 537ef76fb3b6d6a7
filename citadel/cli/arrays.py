"""Arrays, tables and buffers for people who read JSON: what they are, and their first values."""

from __future__ import annotations

import sys
from typing import Any

MAX_SHOWN = 1000
"""Values of an array, or rows of a table, that are shown; the rest is counted."""


def as_map(value: Any) -> Any:
    """A value as JSON's types and texts; None when it is no array, table or buffer."""
    if isinstance(value, memoryview):
        about = {"buffer": value.format, "shape": list(value.shape or ())}
        form: Any = value.format
        flat = value.cast("B").cast(form)
        return _with(about, flat, len(flat))
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return _item(value)
    if numpy is not None and isinstance(value, numpy.ndarray):
        about = {"ndarray": str(value.dtype), "shape": list(value.shape)}
        if value.size <= MAX_SHOWN:
            return {**about, "values": _items(value.tolist())}
        return _with(about, value.reshape(-1), value.size)
    arrow: Any = sys.modules.get("pyarrow")
    if arrow is None:
        return None
    if isinstance(value, arrow.Table | arrow.RecordBatch):
        about = {"table": {field.name: str(field.type) for field in value.schema}}
        return _rest({**about, "rows": value.slice(0, MAX_SHOWN).to_pylist()}, value.num_rows)
    if isinstance(value, arrow.Array | arrow.ChunkedArray):
        return _with({"array": str(value.type)}, value, len(value))
    return None


def _with(about: dict[str, Any], flat: Any, count: int) -> dict[str, Any]:
    first = flat[:MAX_SHOWN]
    shown = first.to_pylist() if hasattr(first, "to_pylist") else first.tolist()
    return _rest({**about, "values": _items(shown)}, count)


def _rest(shown: dict[str, Any], count: int) -> dict[str, Any]:
    return shown if count <= MAX_SHOWN else {**shown, "left_out": count - MAX_SHOWN}


def _items(found: Any) -> Any:
    if isinstance(found, list):
        return [_items(each) for each in found]
    return [_items(each) for each in found] if isinstance(found, tuple) else found


def _item(value: Any) -> Any:
    """One number, text or time of numpy's, as Python has it; as text where it has none."""
    item = value.item()
    return str(item) if isinstance(item, (type(value), complex)) else item
