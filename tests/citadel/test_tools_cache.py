"""The schemas of a tool are made once for its function."""

import gc
import weakref

from citadel.adapter import Adapter, tool
from citadel.tools import bound_tools, warm


class Counting(Adapter):
    def __init__(self, step: int) -> None:
        self.step = step

    @tool
    def add(self, a: int, b: int = 1) -> int:
        """Adds."""
        return (a + b) * self.step


def test_instances_share_schemas_and_run_their_own_method():
    warm(Counting)
    one, ten = bound_tools(Counting(1))["add"], bound_tools(Counting(10))["add"]
    assert one.arguments is ten.arguments
    assert one.input_schema is ten.input_schema
    assert one.run({"a": 2}) == 3
    assert ten.run({"a": 2, "b": 3}) == 50


def test_a_class_that_is_gone_is_not_kept():
    class Local(Adapter):
        @tool
        def noop(self) -> None: ...

    bound_tools(Local())
    gone = weakref.ref(Local)
    del Local
    gc.collect()
    assert gone() is None
