"""How signatures are learnt: five tiers, of Python and of C functions."""

import ast
import inspect
import math
import random
import re
import sqlite3
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.bridge import docsig, kinds, shape
from citadel.bridge.library import imported, shape_of, shape_of_class, shape_of_member
from citadel.bridge.stubs import Stubs


def of(module: str, name: str) -> shape.Shape:
    value = getattr(imported(module), name)
    if isinstance(value, type):
        return shape_of_class(value, module, name, Stubs())
    return shape_of(value, module, name, Stubs())


def member(cls: type[Any], name: str) -> tuple[str, shape.Shape]:
    stored = inspect.getattr_static(cls, name)
    return shape_of_member(cls, name, stored, Stubs())


@pytest.mark.parametrize(
    ("module", "name", "tier", "text"),
    [
        (
            "bridged_sample",
            "hinted",
            "hints",
            "(count: int, /, name: str='x', *, mode: Literal['a', 'b']='a') -> list[int]",
        ),
        (
            "bridged_sample",
            "stubbed",
            "stub",
            "(value: array, scale: int=1, *, flag: bool=False) -> float | str",
        ),
        (
            "bridged_sample",
            "bare",
            "signature",
            "(first, second=None, *rest, option='o', **more)",
        ),
        ("bridged_sample", "broken_hint", "signature", "(value)"),
        ("bridged_sample", "Box", "hints", "(content=None, *, size: int=1)"),
        ("bridged_sample", "Point", "hints", "(x: int, y: int=0)"),
        ("math", "sqrt", "signature", "(x, /)"),
        ("math", "hypot", "docstring", "(*coordinates)"),
        ("builtins", "max", "opaque", "(*args, **kwargs)"),
        ("builtins", "range", "opaque", "(*args, **kwargs)"),
        ("sqlite3", "Connection", "opaque", "(*args, **kwargs)"),
        ("collections", "Counter", "signature", "(iterable=None, /, **kwds)"),
        ("random", "Random", "signature", "(x=None)"),
    ],
)
def test_the_tier_and_the_signature(module: str, name: str, tier: str, text: str) -> None:
    found = of(module, name)
    assert (found.tier, found.text()) == (tier, text)


def test_math_log_has_no_signature_in_this_python_or_a_better_one() -> None:
    found = of("math", "log")
    assert [each.name for each in found.params][:1] == ["x"]
    assert found.tier in ("docstring", "signature", "opaque")


def test_a_ufunc_and_a_function_of_numpy() -> None:
    add = of("numpy", "add")
    assert add.tier in ("signature", "docstring", "stub")
    assert [each.name for each in add.params][:3] == ["x1", "x2", "out"]
    assert [each.kind for each in add.params][:2] == ["positional", "positional"]
    norm = of("numpy.linalg", "norm")
    assert norm.tier == "stub"
    assert norm.params[0].type == kinds.ARRAY
    assert norm.params[1].type.name == "union"


def test_all_of_numpy_and_the_usual_modules_has_a_shape() -> None:
    stubs = Stubs()
    for module in ("numpy", "numpy.linalg", "statistics", "json", "re", "math", "sqlite3"):
        loaded = imported(module)
        for name, value in vars(loaded).items():
            if name.startswith("_") or not callable(value):
                continue
            if isinstance(value, type):
                assert shape_of_class(value, module, name, stubs).tier in shape.TIERS
            else:
                assert shape_of(value, module, name, stubs).tier in shape.TIERS


def test_members_of_a_class() -> None:
    from bridged_sample import Box

    role, found = member(Box, "put")
    assert (role, [each.name for each in found.params]) == ("method", ["content"])
    role, found = member(Box, "volume")
    assert (role, found.text()) == ("static", "(a: int, b: int) -> int")
    role, found = member(Box, "of")
    assert (role, [each.name for each in found.params]) == ("static", ["content"])
    role, found = member(Box, "size")
    assert (role, found.returns, found.doc) == ("attribute", kinds.ANY, "How much fits.")


def test_methods_of_c_classes() -> None:
    role, found = member(random.Random, "random")
    assert (role, found.params) == ("method", ())
    role, found = member(sqlite3.Connection, "commit")
    assert role == "method"
    assert found.params == ()
    role, found = member(np.random.Generator, "normal")
    assert (role, found.tier) == ("method", "stub")
    assert [each.name for each in found.params] == ["loc", "scale", "size"]
    role, found = member(sqlite3.Connection, "execute")
    assert found.tier in ("signature", "docstring")
    assert [(each.name, each.required) for each in found.params] == [
        ("sql", True),
        ("parameters", False),
    ]
    assert member(Counter, "most_common")[1].text() == "(n=None)"


def test_a_signature_that_raises_and_a_docstring_that_is_none() -> None:
    class Odd:
        @property
        def __signature__(self) -> None:
            raise AttributeError("no")

        __doc__ = property(lambda self: 1 / 0)  # type: ignore[assignment]

        def __call__(self, *args: Any) -> None: ...

    assert shape.describe(Odd(), "function").tier in shape.TIERS


@pytest.mark.parametrize(
    ("doc", "name", "wanted"),
    [
        ("log(x, [base=math.e])\nReturn", "log", ["x!", "base=math.e"]),
        ("hypot(*coordinates) -> value", "hypot", ["*coordinates"]),
        ("m(iterable, *[, default=obj, key=func])", "m", ["iterable!", "default=obj", "key=func"]),
        (
            "add(x1, x2, /, out=None, *, where=True[, extra])",
            "add",
            ["x1!", "x2!", "out", "where", "extra"],
        ),
        ("f(a, b=(1, 2), c='x, y')", "f", ["a!", "b=(1, 2)", "c"]),
        ("numpy.f(a)", "f", ["a!"]),
        ("f()", "f", []),
        ("f(stop) -> x\nf(start, stop)", "f", None),
        ("f(...)", "f", None),
        ("f(a, a)", "f", None),
        ("g(a)", "f", None),
        ("f(a", "f", None),
        ("", "f", None),
    ],
)
def test_signatures_in_docstrings(doc: str, name: str, wanted: list[str] | None) -> None:
    found = docsig.parse(doc, name)
    if wanted is None:
        assert found is None
        return
    assert found is not None
    stars = {"args": "*", "kwargs": "**"}
    told = [
        stars.get(each.kind, "")
        + each.name
        + ("!" if each.required else "")
        + (f"={each.text}" if each.text and not each.literal else "")
        for each in found
    ]
    assert told == wanted


@given(st.text(max_size=120), st.from_regex(r"[a-z]{1,6}", fullmatch=True))
def test_no_docstring_breaks_the_parser(text: str, name: str) -> None:
    found = docsig.parse(f"{name}({text}", name)
    assert found is None or all(each.name.isidentifier() for each in found)


# ── stubs and kinds ──────────────────────────────────────────────────────────────────────────────


def kind(text: str) -> kinds.Kind:
    return kinds.from_node(ast.parse(text, mode="eval").body, {"L": "typing.Literal"})


@pytest.mark.parametrize(
    ("text", "given_as", "result_as"),
    [
        ("int", "int", "int"),
        ("Optional[str]", "str | None", "str | None"),
        ("None | int", "int | None", "int | None"),
        ("Union[int, float, int]", "float", "float"),
        ("L['a', 'b']", 'Literal["a", "b"]', 'Literal["a", "b"]'),
        ("bool | L[True]", "bool", "bool"),
        ("Sequence[int]", "Sequence[int]", "list[int]"),
        ("tuple[int, ...]", "Sequence[int]", "list[int]"),
        ("tuple[int, str]", "tuple[int, str]", "list[Any]"),
        ("dict[str, list[float]]", "Mapping[str, Sequence[float]]", "dict[str, list[float]]"),
        ("_ArrayLikeFloat_co", "ArrayLike", "NDArray[Any]"),
        ("Callable[[int], str]", "Callback", "Reference"),
        ("'int'", "int", "int"),
        ("'int('", "Any", "Any"),
        ("__import__('os').system('x')", "Any", "Any"),
        ("SomeTypeVar", "Any", "Any"),
        ("int | SomeTypeVar", "Any", "Any"),
    ],
)
def test_annotations_of_stubs(text: str, given_as: str, result_as: str) -> None:
    found = kind(text)
    assert kinds.to_text(found, {}, given=True) == given_as
    assert kinds.to_text(found, {}, given=False) == result_as


@pytest.mark.parametrize(
    "hint",
    [int, str | None, list[int], dict[str, float], tuple[int, str], re.Pattern, Any, "text", 3],
)
def test_hints_become_kinds_or_anything(hint: Any) -> None:
    from pydantic import TypeAdapter

    found = kinds.from_hint(hint)
    TypeAdapter[Any](kinds.to_pydantic(found)).json_schema()


def test_a_stub_package_goes_before_a_stub_beside(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "bridged_sample-stubs"
    folder.mkdir()
    (folder / "__init__.pyi").write_text(
        "import sys\nif sys.version_info >= (3, 0):\n"
        "    def bare(first: int, second: str = ...) -> bytes: ...\n"
        "else:\n    def bare(first: str) -> str: ...\nfrom .deep import *\n"
    )
    (folder / "deep.pyi").write_text(
        "class Box:\n    def get(self) -> int: ...\ndef same(value: int) -> int: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    imported("bridged_sample")
    stubs = Stubs()
    found = stubs.function("bridged_sample", "bare")
    assert found is not None
    assert (found.types["first"].name, found.returns.name) == ("int", "bytes")
    deep = stubs.method("bridged_sample", "Box", "get")
    assert deep is not None
    assert deep.returns.name == "int"
    star = stubs.function("bridged_sample", "same")
    assert star is not None
    assert star.types["value"].name == "int"


@pytest.mark.parametrize(
    "text", ["def (", "from . import *", "x" * 100, "from bridged_loop import f"]
)
def test_a_stub_that_is_broken_or_goes_in_circles_is_no_stub(
    tmp_path, monkeypatch, text: str
) -> None:
    (tmp_path / "bridged_loop.py").write_text("def f(a): ...\n")
    (tmp_path / "bridged_loop.pyi").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert of("bridged_loop", "f").tier == "signature"


def test_inspecting_math_agrees_with_python() -> None:
    for name, value in vars(math).items():
        if not name.startswith("_") and callable(value):
            try:
                wanted = inspect.signature(value)
            except ValueError:
                continue
            assert [each.name for each in of("math", name).params] == list(wanted.parameters)
