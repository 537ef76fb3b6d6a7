"""Arrays, tables and buffers as JSON: what they are, and their first values."""

import array
import json

import numpy as np
import pyarrow as pa
import pytest

from citadel.cli import show
from citadel.cli.arrays import MAX_SHOWN

SQUARE = {"ndarray": "float64", "shape": [2, 2], "values": [[0, 1], [2, 3]]}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            np.arange(4.0).reshape(2, 2),
            {"ndarray": "float64", "shape": [2, 2], "values": [[0, 1], [2, 3]]},
        ),
        (np.array(3, "i2"), {"ndarray": "int16", "shape": [], "values": 3}),
        (np.array([1j]), {"ndarray": "complex128", "shape": [1], "values": ["1j"]}),
        (
            np.array(["2026-01-02"], "M8[D]"),
            {"ndarray": "datetime64[D]", "shape": [1], "values": ["2026-01-02"]},
        ),
        (
            np.array([(1, b"x")], [("a", "i4"), ("b", "S1")]),
            {
                "ndarray": "[('a', '<i4'), ('b', 'S1')]",
                "shape": [1],
                "values": [[1, {"base64": "eA=="}]],
            },
        ),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), "0.5"),
        (np.bool_(True), True),
        (
            pa.table({"n": [1], "s": ["x"]}),
            {"table": {"n": "int64", "s": "string"}, "rows": [{"n": 1, "s": "x"}]},
        ),
        (pa.array([1, None]), {"array": "int64", "values": [1, None]}),
        (memoryview(array.array("h", [1, 2])), {"buffer": "h", "shape": [2], "values": [1, 2]}),
    ],
)
def test_a_small_value_is_shown_whole(value: object, shown: object) -> None:
    assert json.loads(json.dumps(show.plain({"x": value})["x"])) == shown


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((MAX_SHOWN, 3)),
        pa.table({"n": np.zeros(3 * MAX_SHOWN)}),
        pa.chunked_array([np.zeros(3 * MAX_SHOWN)]),
        memoryview(bytes(3 * MAX_SHOWN)),
    ],
)
def test_a_large_value_says_what_is_left_out(value: object) -> None:
    shown = show.plain(value)
    assert shown["left_out"] == 2 * MAX_SHOWN
    assert len(shown.get("values") or shown["rows"]) == MAX_SHOWN
