"""Adapters: schemas from hints, arguments checked by them, results as values that can be sent."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Any
from uuid import UUID

import msgpack
import pytest
from pydantic import BaseModel, Field

from citadel.adapter import Adapter, bound_tools, cancelled, check_cancelled, plain, tool
from citadel.adapter import watch_cancellation as watch
from citadel.errors import AdapterFailed, BadArguments, Cancelled


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    when: datetime
    data: bytes


@dataclass
class Pair:
    left: Any
    right: Any


class Shelf(Adapter):
    @tool
    def add(self, a: int, b: int = 0) -> int:
        """Adds."""
        return a + b

    @tool(name="renamed", description="Another word.")
    def named(self) -> str:
        return "x"

    @tool
    def odd_names(self, schema: int, copy: str = "", *, _hidden: bool = False) -> list[Any]:
        return [schema, copy, _hidden]

    @tool
    def bounded(self, share: Annotated[float, Field(ge=0, le=1, description="Of all.")]) -> float:
        return share

    @tool
    def dated(self, day: date) -> date:
        assert isinstance(day, date)
        return day

    @tool
    def nested(self, model: Model) -> Model:
        return model

    @tool
    async def later(self) -> int:
        return 3

    def not_a_tool(self) -> None: ...


@pytest.fixture
def tools():
    return bound_tools(Shelf())


def test_tools_are_what_is_marked(tools):
    assert set(tools) == {
        "add", "renamed", "odd_names", "bounded", "dated", "nested", "later",
    }  # fmt: skip
    assert tools["add"].description == "Adds."
    assert tools["renamed"].description == "Another word."


def test_schemas_say_what_the_hints_say(tools):
    assert tools["add"].input_schema == {
        "additionalProperties": False,
        "properties": {
            "a": {"title": "a", "type": "integer"},
            "b": {"default": 0, "title": "b", "type": "integer"},
        },
        "required": ["a"],
        "title": "add",
        "type": "object",
    }
    assert tools["add"].output_schema == {"type": "integer"}
    share = tools["bounded"].input_schema["properties"]["share"]
    assert (share["minimum"], share["maximum"], share["description"]) == (0, 1, "Of all.")


def test_defaults_are_the_methods_own(tools):
    assert tools["add"].run({"a": 2}) == 2
    assert tools["odd_names"].run({"schema": 1}) == [1, "", False]
    assert tools["odd_names"].run({"schema": 1, "copy": "c", "_hidden": True}) == [1, "c", True]


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("add", {}, "a: Field required"),
        ("add", {"a": "x"}, "a: "),
        ("add", {"a": 1, "c": 2}, "c: "),
        ("bounded", {"share": 1.5}, "share: "),
        ("nested", {"model": {"when": "never", "data": b""}}, r"model\.when: "),
    ],
)
def test_what_does_not_fit_is_named(tools, name, arguments, named):
    with pytest.raises(BadArguments, match=named) as caught:
        tools[name].run(arguments)
    assert caught.value.subject == name


def test_arguments_arrive_as_the_hints_say(tools):
    assert tools["dated"].run({"day": "2026-01-02"}) == date(2026, 1, 2)
    assert tools["later"].run({}) == 3


def packed(value: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(value, default=plain), strict_map_key=False)


def test_results_become_what_can_be_sent():
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert packed(Pair(Pair(b"\xff", (1, 2)), {3})) == {
        "left": {"left": b"\xff", "right": [1, 2]},
        "right": [3],
    }
    assert packed(Model(when=moment, data=b"\xff")) == {
        "when": "2026-01-02T00:00:00Z",
        "data": b"\xff",
    }
    texts = [Colour.RED, PurePosixPath("a/b"), UUID(int=1), Decimal("1.50"), date(2026, 1, 2)]
    assert packed(texts) == ["red", "a/b", str(UUID(int=1)), "1.50", "2026-01-02"]


def test_what_cannot_be_sent_is_named():
    with pytest.raises(TypeError, match=r"builtins\.object cannot be sent"):
        packed([object()])


def adapter_with(method: Any) -> Adapter:
    return type("Made", (Adapter,), {"made": tool(method)})()


def takes_any(self: Any, *args: int) -> None: ...
def takes_more(self: Any, **more: int) -> None: ...
def takes_position(self: Any, a: int, /) -> None: ...
def takes_unknown(self: Any, a: "Nowhere") -> None: ...  # noqa: F821 - that is the point
def takes_opaque(self: Any, a: Adapter) -> None: ...
def gives_opaque(self: Any) -> Adapter: ...


@pytest.mark.parametrize(
    "method",
    [takes_any, takes_more, takes_position, takes_unknown, takes_opaque, gives_opaque],
    ids=lambda method: method.__name__,
)
def test_a_hint_that_makes_no_schema_fails_the_adapter(method):
    adapter = adapter_with(method)
    with pytest.raises(AdapterFailed, match=method.__name__) as caught:
        bound_tools(adapter)
    assert caught.value.remedy


def test_no_tools_and_two_of_one_name_fail_the_adapter():
    with pytest.raises(AdapterFailed, match="no tools"):
        bound_tools(Adapter())

    class Twice(Shelf):
        @tool(name="add")
        def again(self) -> None: ...

    with pytest.raises(AdapterFailed, match="two tools named add"):
        bound_tools(Twice())


def test_a_tool_asks_whether_it_was_cancelled():
    assert not cancelled()
    answer = False
    watch(lambda: answer)
    try:
        check_cancelled()
        answer = True
        assert cancelled()
        with pytest.raises(Cancelled):
            check_cancelled()
    finally:
        watch(lambda: False)
