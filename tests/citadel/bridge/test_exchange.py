"""Values in and out, and arguments where Python wants them."""

import datetime as dt
import decimal
import enum
import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel import values
from citadel.bridge import binding
from citadel.bridge.client import Reference, _Codec, _sent
from citadel.bridge.exchange import Exchange
from citadel.bridge.manifest import Limits
from citadel.bridge.objects import Objects
from citadel.bridge.shape import Param
from citadel.client.commands import CommandOptions
from citadel.errors import (
    BadArguments,
    CommandFailed,
    QuotaExceeded,
    UnknownReference,
)


class Desk:
    """An exchange whose session and engine are the test's."""

    def __init__(self, **limits: int) -> None:
        self.session = "s"
        self.called: list[tuple[str, str, dict[str, Any]]] = []
        self.answer: Any = None
        bounds = Limits.model_validate(limits)
        numbers = count(1)
        self.objects = Objects(bounds, "boot", lambda: 0.0, lambda: str(next(numbers)))
        self.exchange = Exchange(
            objects=self.objects,
            limits=bounds,
            session=lambda: self.session,
            call=self._call,
            face=lambda kind: "collections.Counter" if issubclass(kind, Counter) else "",
        )

    def out(self, value: Any, returns: Any = "auto") -> Any:
        return self.exchange.outgoing(value, returns)

    def back(self, value: Any, **options: Any) -> Any:
        return self.exchange.incoming(value, **options)

    def _call(self, pool: str, tool: str, arguments: dict[str, Any]) -> Any:
        self.called.append((pool, tool, arguments))
        return self.answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["$ref", "$tool", "$value", "$int"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(plain_values)
def test_plain_values_survive_the_way_out_and_the_callers_codec(value: Any) -> None:
    sent = values.unpack(values.pack(Desk().out(value)))
    assert _Codec("p", CommandOptions(), {})._received(sent) == value


@given(plain_values)
def test_plain_values_survive_the_way_in(value: Any) -> None:
    desk = Desk()
    sent = values.unpack(values.pack(_sent(value)))
    assert desk.back(sent) == value
    assert len(desk.objects) == 0


@given(plain_values)
def test_whatever_comes_is_a_value_or_a_typed_error(value: Any) -> None:
    try:
        Desk().back(value, callbacks=True)
    except (BadArguments, UnknownReference):
        return


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


@dataclass
class Point:
    x: int
    inner: Any = None


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ((1, "a"), [1, "a"]),
        ({3}, [3]),
        ({"a": 1}.keys(), ["a"]),
        (np.float64(1.5), 1.5),
        (np.int32(7), 7),
        (np.bool_(True), True),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Word.YES, "yes"),
        (Point(1, Point(2)), {"x": 1, "inner": {"x": 2, "inner": None}}),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("1.5"), "1.5"),
        (2**70, {"$int": str(2**70)}),
        (1 + 2j, {"$complex": [1.0, 2.0]}),
        ({"$ref": "a text"}, {"$value": {"$ref": "a text"}}),
        ({1: "a", None: 2}, {1: "a", None: 2}),
    ],
)
def test_what_goes_as_a_value(desk: Desk, value: Any, sent: Any) -> None:
    assert desk.out(value) == sent
    assert type(desk.out(value)) is type(sent)
    assert len(desk.objects) == 0


def test_arrays_go_as_they_are(desk: Desk) -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert desk.out(array) is array
    assert desk.out([array, {"a": array}]) == [array, {"a": array}]
    assert "$ref" in desk.out(np.array([object()]))


@pytest.mark.parametrize(
    "value",
    [
        Counter("abc"),
        random.Random(1),
        re.compile("a"),
        iter([1]),
        len,
        re,
        Counter,
        {(1, 2): 3},
        10**5000,
        range(10**12),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_stays(desk: Desk, value: Any) -> None:
    sent = desk.out(value)
    assert desk.objects.get("s", sent["$ref"]) is value
    assert desk.back({"arguments": [sent]}) == {"arguments": [value]}
    assert len(sent["repr"]) <= 160
    assert sent.get("iterator", False) == hasattr(value, "__next__")
    assert sent.get("class", "") == ("collections.Counter" if type(value) is Counter else "")


def test_objects_in_lists_stay_one_by_one(desk: Desk) -> None:
    first, second = desk.out(list(re.finditer("a", "aa")))
    assert first["type"] == second["type"] == "re.Match"
    assert first["$ref"] != second["$ref"]


def test_a_value_that_is_endless_stays(desk: Desk) -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert desk.out(loop)["type"] == "builtins.list"
    with pytest.raises(CommandFailed, match="nested more than"):
        desk.out(loop, "value")


def test_value_and_reference_can_be_asked_for(desk: Desk) -> None:
    assert desk.out(Counter("aab"), "value") == {"a": 2, "b": 1}
    assert desk.out([1], "reference")["type"] == "builtins.list"
    assert desk.out(None, "reference") is None
    with pytest.raises(CommandFailed, match=r"a _random\.Random|a random\.Random"):
        desk.out(random.Random(), "value")


def test_an_object_whose_repr_raises(desk: Desk) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Odd" in desk.out(Odd())["repr"]


def test_without_a_session_nothing_stays(desk: Desk) -> None:
    desk.session = ""
    with pytest.raises(BadArguments, match="no session") as caught:
        desk.out(re.compile("a"))
    assert "strict_queue" in caught.value.remedy
    with pytest.raises(UnknownReference, match="without a session"):
        desk.back({"$ref": "boot-1"})


def test_a_reference_of_another_session_is_refused(desk: Desk) -> None:
    sent = desk.out(re.compile("a"))
    desk.session = "other"
    with pytest.raises(UnknownReference, match="session other has no reference"):
        desk.back([{"deep": sent}])


def test_the_quota_counts(desk: Desk) -> None:
    desk = Desk(objects=3)
    with pytest.raises(QuotaExceeded):
        desk.out(list(re.finditer("a", "aaaa")))


@pytest.mark.parametrize(
    "value",
    [
        {"$ref": 3},
        {"$ref": None, "x": 1},
        {"$int": "x"},
        {"$value": 3},
        {"$int": "9" * 5000},
        {"$complex": ["a"]},
        {"$complex": [1, 2, 3]},
        {"$tool": "p/t"},
    ],
)
def test_marks_that_say_nothing_are_bad_arguments(desk: Desk, value: Any) -> None:
    with pytest.raises(BadArguments):
        desk.back(value)


def test_arguments_are_nested_so_deep_and_no_deeper(desk: Desk) -> None:
    value: Any = 1
    for _ in range(64):
        value = [value]
    assert desk.back(value) == value
    with pytest.raises(BadArguments, match="nested"):
        desk.back([value])


# ── callbacks ────────────────────────────────────────────────────────────────────────────────────


def test_a_callback_calls_its_tool_with_names(desk: Desk) -> None:
    function = desk.back({"$tool": "p/t.u", "arguments": ["x", "y"]}, callbacks=True)
    desk.answer = [2**64 - 1, {"$int": str(2**70)}]
    assert function(1, y=re.compile("a")) == [2**64 - 1, 2**70]
    ((pool, tool, arguments),) = desk.called
    assert (pool, tool, arguments["x"]) == ("p", "t.u", 1)
    assert arguments["y"]["type"] == "re.Pattern"


@pytest.mark.parametrize("tool", ["p", "/t", "p/", "", 3])
def test_a_callback_names_a_pool_and_a_tool(desk: Desk, tool: Any) -> None:
    with pytest.raises(BadArguments):
        desk.back({"$tool": tool}, callbacks=True)


def test_a_callback_is_bounded_and_says_what_it_lacks() -> None:
    desk = Desk(callbacks=2)
    function = desk.back({"$tool": "p/t", "arguments": ["x"]}, callbacks=True)
    with pytest.raises(BadArguments, match="2 arguments by position, and 1 have a name"):
        function(1, 2)
    function(1)
    with pytest.raises(QuotaExceeded, match="2 times"):
        function(1)


# ── binding ──────────────────────────────────────────────────────────────────────────────────────


def par(name: str, kind: Any, default: Any = ...) -> Param:
    if default is ... or kind in ("args", "kwargs"):
        return Param(name=name, kind=kind, required=kind not in ("args", "kwargs"))
    return Param(name=name, kind=kind, required=False, literal=default is not math, default=default)


def f(a, b=2, /, c=3, *rest, d=4, **more):
    return a, b, c, rest, d, more


PARAMS = (
    par("a", "positional"),
    par("b", "positional", 2),
    par("c", "either", 3),
    par("rest", "args"),
    par("d", "keyword", 4),
    par("more", "kwargs"),
)


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({"a": 1}, (1, 2, 3, (), 4, {})),
        ({"a": 1, "c": 9}, (1, 2, 9, (), 4, {})),
        ({"a": 1, "args": [7, 8]}, (1, 2, 3, (7, 8), 4, {})),
        ({"a": 1, "b": 0, "args": [7], "d": 5, "kwargs": {"e": 6}}, (1, 0, 3, (7,), 5, {"e": 6})),
        ({"a": 1, "kwargs": {"a": 6}}, (1, 2, 3, (), 4, {"a": 6})),
    ],
)
def test_arguments_by_name_reach_their_places(given_: Any, wanted: Any) -> None:
    args, kwargs = binding.bound("f", PARAMS, given_)
    assert f(*args, **kwargs) == wanted


def test_a_hole_among_positions_is_refused() -> None:
    params = (par("x", "positional"), par("y", "positional", math), par("z", "positional", math))
    assert binding.bound("t", params, {"x": 1}) == ([1], {})
    assert binding.bound("t", params, {"x": 1, "y": 2}) == ([1, 2], {})
    with pytest.raises(BadArguments, match="takes y by position: z cannot be given without it"):
        binding.bound("t", params, {"x": 1, "z": 3})
    with pytest.raises(BadArguments, match="args cannot be given"):
        binding.bound("t", (*params, par("rest", "args")), {"x": 1, "args": [3]})


def test_defaults_behind_what_is_given_are_left_to_the_function() -> None:
    params = (par("x", "positional"), par("y", "positional", "told wrong"))
    assert binding.bound("t", params, {"x": 1}) == ([1], {})


def test_parameters_named_args_keep_their_names() -> None:
    params = (par("args", "either"), par("rest", "args"), par("kwargs", "keyword", 1))
    assert binding.argument_names(params) == {"args": "args", "rest": "args_", "kwargs": "kwargs"}


def test_functions_are_not_sent_by_callers() -> None:
    with pytest.raises(BadArguments, match="a function cannot be sent"):
        _sent({"key": len})
    assert _sent(Reference(None, {"$ref": "x"})) == {"$ref": "x"}
