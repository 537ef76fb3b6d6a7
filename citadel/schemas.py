"""JSON schemas of hints, also of the arrays, tables and buffers that travel beside msgpack.

JSON has no word for these: their schema is `{"x-citadel": "numpy.ndarray"}`. Any other class that
JSON cannot say is a fault, as it is to pydantic. Light: imported by workers.
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

KEY = "x-citadel"
CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
_TABLES = ("Table", "RecordBatch", "Array", "ChunkedArray")


class Schemas(GenerateJsonSchema):
    """Pydantic's generator, which knows what `citadel.values` carries."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        """The schema of a class that pydantic checks by isinstance."""
        kind = schema["cls"]
        if isinstance(kind, type) and _travels(kind):
            return {KEY: f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"}
        return super().is_instance_schema(schema)


def checker(hint: Any) -> TypeAdapter[Any]:
    """What checks values of a hint."""
    try:
        return TypeAdapter[Any](hint)
    except PydanticSchemaGenerationError:
        return TypeAdapter[Any](hint, config=ConfigDict(arbitrary_types_allowed=True))


def _travels(kind: type) -> bool:
    if issubclass(kind, memoryview) or hasattr(kind, "__dlpack__"):
        return True
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.ndarray | numpy.generic):
        return True
    arrow: Any = sys.modules.get("pyarrow")
    return arrow is not None and issubclass(kind, tuple(getattr(arrow, name) for name in _TABLES))
