"""Hints that JSON has no word for: arrays and tables pass, other classes are a fault as before."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import citadel
from citadel.errors import AdapterFailed, BadArguments
from citadel.tools import bound_tools


class Arrays(citadel.Adapter):
    @citadel.tool
    def mean(self, values: np.ndarray, weights: npt.NDArray[np.float64] | None = None) -> float:
        return float(np.average(values, weights=weights))

    @citadel.tool
    def table(self, rows: pa.Table, any_array: Any = None) -> pa.RecordBatch:
        return rows.to_batches()[0]

    @citadel.tool
    def several(self, values: list[np.ndarray], name: str = "x") -> dict[str, npt.NDArray[Any]]:
        return {name: values[0]}

    @citadel.tool
    def stream(self, items: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        yield from items


class NoSchema(citadel.Adapter):
    @citadel.tool
    def odd(self, value: Exception) -> None: ...


TOOLS = bound_tools(Arrays())


def test_schemas_say_what_json_cannot() -> None:
    mean = TOOLS["mean"]
    assert mean.input_schema["properties"]["values"]["x-citadel"] == "numpy.ndarray"
    assert mean.input_schema["required"] == ["values"]
    assert mean.output_schema == {"type": "number"}
    table = TOOLS["table"]
    assert table.input_schema["properties"]["rows"]["x-citadel"] == "pyarrow.Table"
    assert table.output_schema == {"x-citadel": "pyarrow.RecordBatch"}
    several = TOOLS["several"]
    assert several.input_schema["properties"]["values"]["items"] == {"x-citadel": "numpy.ndarray"}
    assert several.output_schema["additionalProperties"] == {"x-citadel": "numpy.ndarray"}
    assert TOOLS["stream"].output_schema == {"x-citadel": "numpy.ndarray"}


def test_arrays_pass_and_are_not_copied() -> None:
    array = np.arange(4.0)
    assert TOOLS["mean"].run({"values": array}) == 1.5
    assert TOOLS["mean"].run({"values": array, "weights": np.array([1.0, 0, 0, 0])}) == 0.0
    assert TOOLS["several"].run({"values": [array]})["x"] is array
    table = pa.table({"n": [1, 2]})
    assert TOOLS["table"].run({"rows": table, "any_array": array}).num_rows == 2
    assert TOOLS["stream"].checked_item(array, 1) is array


def test_what_is_no_array_is_refused_by_name() -> None:
    with pytest.raises(BadArguments, match="values: Input should be an instance of ndarray"):
        TOOLS["mean"].run({"values": "text"})
    with pytest.raises(BadArguments, match="rows"):
        TOOLS["table"].run({"rows": np.zeros(1)})


def test_another_class_makes_no_schema() -> None:
    with pytest.raises(AdapterFailed, match="make no schema"):
        bound_tools(NoSchema())
