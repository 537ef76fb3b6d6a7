"""The bridge's adapter in this process: what its tools do, and what they refuse."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citadel import _running, values
from citadel.bridge.adapter import BridgeAdapter
from citadel.errors import (
    AdapterFailed,
    BadArguments,
    CommandFailed,
    QuotaExceeded,
    UnknownReference,
    UnknownTool,
)

MANIFEST = """
version: 1
limits: {objects: 5, items: 50, bulk: 4}
libraries:
  - module: bridged_sample
    name: sample
    functions:
      - "*"
      - {name: numbers, stream: true}
      - {name: sort_by, callbacks: [key]}
      - {name: hinted, idempotent: true, doc: Other words.}
    classes:
      - {name: Box, construct: true, methods: ["*"], attributes: [size, content]}
  - {module: numpy.linalg, name: la, functions: [svd, norm]}
  - {module: numpy, functions: [add, {name: arange, returns: reference}]}
  - {module: math, functions: [log, hypot, factorial]}
  - module: collections
    classes: [{name: Counter, construct: true, methods: ["*"]}]
  - module: sqlite3
    functions: [connect]
    classes:
      - {name: Connection, methods: [execute, executemany, close], iterate: false}
      - {name: Cursor, methods: [fetchall, fetchone], attributes: [rowcount]}
  - module: re
    functions: [finditer]
    classes: [{name: Match, methods: [group, groups]}]
"""


OWN = ("bulk", "iterate", "objects", "release", "take", "value")


class Engine:
    """What a worker offers to its tools, as the test says."""

    def __init__(self) -> None:
        self.key = "s"
        self.asked: list[Any] = []
        self.answer: Callable[[dict[str, Any]], Any] = lambda arguments: arguments

    def cancelled(self) -> bool:
        return False

    def remaining(self) -> float:
        return 1.0

    def session(self) -> _running.Session | None:
        return _running.Session(self.key) if self.key else None

    def ask(self, kind: str, *what: Any) -> values.Parcel:
        arguments = what[2].unpacked()
        self.asked.append((kind, *what[:2], arguments))
        return values.pack_parts(self.answer(arguments), values.THRESHOLD_BYTES)

    async def ask_async(self, kind: str, *what: Any) -> values.Parcel:
        return self.ask(kind, *what)


class Host:
    """An adapter, and what stands around it in a worker."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self.engine = engine
        self.adapter = BridgeAdapter(str(path))
        self.adapter.setup()
        self.tools = self.adapter.tools()

    def __call__(self, name: str, /, **arguments: Any) -> Any:
        sent = values.unpack(values.pack(arguments))
        result = self.tools[name].run(sent)
        if self.tools[name].streams_out:
            result = list(result)
        return values.unpack(values.pack(result))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    _running.offer(engine)
    yield engine
    _running.withdraw()


@pytest.fixture
def host(write: Callable[[str], Path], engine: Engine) -> Host:
    return Host(write(MANIFEST), engine)


# ── functions ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tool", "arguments", "value"),
    [
        ("sample.hinted", {"count": 2, "mode": "b"}, [2, 1, 1]),
        ("sample.stubbed", {"value": 3, "scale": 2, "flag": True}, 6),
        ("sample.bare", {"first": 1}, [1, None, [], "o", {}]),
        (
            "sample.bare",
            {"first": 1, "args": [3], "kwargs": {"x": 4}},
            [1, None, [3], "o", {"x": 4}],
        ),
        ("sample.floats", {"value": 2**60 + 1}, 2**60 + 1),
        ("sample.when", {"day": "2026-01-02", "colour": "red"}, "2026-01-02 Colour.RED"),
        ("sample.mirrored", {"point": {"x": 1}}, {"x": 0, "y": 1}),
        ("sample.same", {"value": {"$value": {"$ref": "x"}}}, {"$value": {"$ref": "x"}}),
        ("sample.numbers", {"stop": 3}, [0, 1, 2]),
        ("sample.Box.volume", {"a": 2, "b": 3}, 6),
        ("math.log", {"x": 1}, 0.0),
        ("math.log", {"x": 8, "base": 2}, 3.0),
        ("math.hypot", {"args": [3, 4]}, 5.0),
        ("math.factorial", {"n": 30}, {"$int": "265252859812191058636308480000000"}),
        ("la.norm", {"x": [3, 4]}, 5.0),
        ("numpy.add", {"x1": 1, "x2": 2}, 3),
    ],
)
def test_functions(host: Host, tool: str, arguments: dict[str, Any], value: Any) -> None:
    if tool == "math.log" and host.tools[tool].input_schema.get("properties", {}).get("args"):
        pytest.skip("this Python says nothing of math.log")
    assert host(tool, **arguments) == value


def test_arrays_go_in_and_come_out(host: Host) -> None:
    matrix = np.array([[3.0, 0.0], [0.0, 4.0]])
    u, s, vh = host("la.svd", a=matrix)
    assert np.allclose(u * s @ vh, matrix)
    assert s.tolist() == [4.0, 3.0]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("sample.hinted", {"count": "many"}, "count: Input should be a valid integer"),
        ("sample.hinted", {"count": 1, "mode": "c"}, "mode: Input should be 'a' or 'b'"),
        ("sample.hinted", {}, "count: Field required"),
        ("sample.hinted", {"count": 1, "__class__": 1}, "__class__: Extra inputs"),
        ("sample.bare", {"first": 1, "other": 2}, "other: Extra inputs"),
        ("la.norm", {"x": [1], "axis": "x"}, "axis"),
        ("sample.Box.get", {}, "self: Field required"),
        ("sample.Box.get", {"self": 3}, "is for a Box, and self is a builtins.int"),
        ("sample.Box.get", {"self": {"x": 1}}, "is for a Box, and self is a builtins.dict"),
    ],
)
def test_arguments_that_do_not_fit(
    host: Host, tool: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadArguments) as caught:
        host(tool, **arguments)
    assert said in caught.value.message


def test_tools_say_what_they_are(host: Host) -> None:
    hinted = host.tools["sample.hinted"]
    assert hinted.idempotent
    assert hinted.description.startswith("Other words.\nbridged_sample.hinted(count: int, /, ")
    assert hinted.description.endswith("[hints]")
    assert hinted.input_schema["properties"]["mode"]["enum"] == ["a", "b"]
    assert hinted.output_schema == {"items": {"type": "integer"}, "type": "array"}
    assert host.tools["sample.numbers"].streams_out
    own = {name for name in host.tools if name.startswith("bridge.")}
    assert own == {f"bridge.{name}" for name in OWN}
    schema = host.tools["sqlite3.Connection.execute"].input_schema["properties"]["self"]
    assert schema["description"] == "a reference to a sqlite3.Connection"


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "sample._private",
        "sample.Box._hidden",
        "sample.Box.__class__",
        "sample.imported",
    ],
)
def test_what_is_not_listed_is_no_tool(host: Host, name: str) -> None:
    assert name not in host.tools


# ── objects ──────────────────────────────────────────────────────────────────────────────────────


def test_an_object_keeps_its_state_between_commands(host: Host) -> None:
    counter = host("collections.Counter", iterable="abca")
    assert (counter["type"], counter["class"]) == ("collections.Counter", "collections.Counter")
    host("collections.Counter.update", self=counter, iterable="aa", kwargs={"z": 5})
    assert host("collections.Counter.most_common", self=counter, n=2) == [["z", 5], ["a", 4]]
    assert host("bridge.value", ref=counter) == {"a": 4, "b": 1, "c": 1, "z": 5}
    assert host("collections.Counter.items", self={"$ref": counter["$ref"]})[0] == ["a", 4]


def test_a_database_lives_in_the_worker(host: Host) -> None:
    connection = host("sqlite3.connect", args=[":memory:"])
    cursor = host("sqlite3.Connection.execute", self=connection, sql="create table t (a)")
    again = host(
        "sqlite3.Connection.executemany",
        self=connection,
        sql="insert into t values (?)",
        parameters=[[1], [2]],
    )
    assert again["$ref"] != cursor["$ref"]
    assert host("sqlite3.Cursor.rowcount", self=again) == 2
    rows = host(
        "sqlite3.Connection.execute",
        self=connection,
        sql="select a from t where a < ?",
        parameters=[9],
    )
    assert rows["iterator"]
    assert host("bridge.take", ref=rows, count=1) == {"items": [[1]], "done": False}
    assert host("bridge.iterate", ref=rows) == [[2]]
    assert len(host("bridge.objects")) == 4
    assert host("bridge.release", ref=[rows, cursor["$ref"], "nothing"]) == 2
    assert len(host("bridge.objects")) == 2


def test_the_same_object_has_the_same_reference(host: Host) -> None:
    box = host("sample.Box", content=1)
    assert host("sample.Box.put", self=box, content=[2])["$ref"] == box["$ref"]
    assert host("sample.Box.content", self=box) == [2]
    assert host("sample.Box.size", self=box) == 1
    assert host("sample.Box.of", content=3)["class"] == "sample.Box"


def test_references_are_arguments(host: Host) -> None:
    box = host("sample.Box")
    host("sample.Box.put", self=box, content={"inner": [box]})
    assert host("sample.Box.content", self=box)["inner"][0]["$ref"] == box["$ref"]
    numbers = (
        host("numpy.arange", args=[], start_or_stop=3)
        if _has_args(host)
        else host("numpy.arange", start_or_stop=3)
    )
    assert host("la.norm", x=numbers) == pytest.approx(5**0.5)
    assert host("bridge.value", ref=numbers).tolist() == [0, 1, 2]


def _has_args(host: Host) -> bool:
    return "args" in host.tools["numpy.arange"].input_schema["properties"]


def test_another_session_has_other_objects(host: Host, engine: Engine) -> None:
    box = host("sample.Box")
    engine.key = "other"
    assert host("bridge.objects") == []
    assert host("bridge.release", ref=box) == 0
    for tool, arguments in [
        ("sample.Box.get", {"self": box}),
        ("sample.same", {"value": [{"deep": box}]}),
        ("bridge.value", {"ref": box}),
        ("bridge.take", {"ref": box}),
        ("bridge.bulk", {"ref": box, "calls": []}),
    ]:
        with pytest.raises(UnknownReference, match="session other has no reference"):
            host(tool, **arguments)
    engine.key = ""
    with pytest.raises(UnknownReference, match="without a session"):
        host("sample.Box.get", self=box)
    engine.key = "s"
    assert host("sample.Box.get", self=box) is None


def test_without_a_session_nothing_is_made_that_would_stay(host: Host, engine: Engine) -> None:
    engine.key = ""
    with pytest.raises(BadArguments, match="it needs a session") as caught:
        host("sample.Box")
    assert "strict_queue" in caught.value.remedy
    assert host("sample.same", value=1) == 1


def test_a_session_that_ends_takes_its_objects_along(host: Host) -> None:
    box = host("sample.Box")
    host.adapter.session_ended("s")
    with pytest.raises(UnknownReference, match="session ended"):
        host("sample.Box.get", self=box)


def test_a_quota_holds_in_the_middle_of_a_result(host: Host) -> None:
    found = host("re.finditer", pattern="a", string="a" * 9)
    with pytest.raises(QuotaExceeded, match="holds 5 objects"):
        host("bridge.take", ref=found)
    assert len(host("bridge.objects")) == 5


def test_iteration_is_bounded_and_can_be_forbidden(host: Host) -> None:
    endless = host("sample.endless")
    assert host("bridge.take", ref=endless, count=51) == {"items": list(range(50)), "done": False}
    found = host("re.finditer", pattern="a", string="aa")
    with pytest.raises(BadArguments, match="count is 1 or more"):
        host("bridge.take", ref=found, count=0)
    done = host("bridge.take", ref=found)
    assert done["done"]
    assert host("re.Match.group", self=done["items"][0]) == "a"
    box = host("sample.Box")
    with pytest.raises(BadArguments, match="a Box is no iterator"):
        host("bridge.iterate", ref=box)


# ── bulk ─────────────────────────────────────────────────────────────────────────────────────────


def test_bulk_calls_stop_at_the_first_failure_or_go_on(host: Host) -> None:
    box = host("sample.Box")
    calls = [["put", [1]], ["fail", [], {"text": "no"}], ["get"]]
    stopped = host("bridge.bulk", ref=box, calls=calls)
    assert stopped["results"][1:] == [None]
    assert stopped["failed"] == [{"index": 1, "type": "ValueError", "message": "no"}]
    done = host("bridge.bulk", ref=box, calls=calls, keep_going=True)
    assert done["results"][1:] == [None, 1]
    assert len(done["failed"]) == 1
    values_ = host("bridge.bulk", ref=box, calls=[["size"], ["volume", [2, 3]], ["put", [box]]])
    assert values_["results"][:2] == [1, 6]
    assert values_["results"][2]["$ref"] == box["$ref"]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (["__class__"], "UnknownTool"),
        (["_hidden"], "UnknownTool"),
        (["get.__self__"], "UnknownTool"),
        (["gett"], "UnknownTool"),
        ([], "UnknownTool"),
        ([3], "BadArguments"),
        (["get", {}], "BadArguments"),
        (["get", [], {}, 1], "BadArguments"),
        (["get", [1]], "BadArguments"),
        (["get", [], {"self": {"$ref": "x"}, "x": 1}], "BadArguments"),
    ],
)
def test_bulk_reaches_nothing_else(host: Host, call: list[Any], kind: str) -> None:
    box = host("sample.Box")
    (failed,) = host("bridge.bulk", ref=box, calls=[call])["failed"]
    assert failed["type"] == kind
    if call == ["gett"]:
        assert "did you mean 'get'?" in failed["message"]


def test_bulk_is_bounded(host: Host) -> None:
    box = host("sample.Box")
    with pytest.raises(BadArguments, match="5 calls are more than 4"):
        host("bridge.bulk", ref=box, calls=[["get"]] * 5)


def test_bulk_on_an_object_without_a_face(host: Host) -> None:
    found = host("re.finditer", pattern="a", string="a")
    (failed,) = host("bridge.bulk", ref=found, calls=[["__next__"]])["failed"]
    assert failed["type"] == UnknownTool.__name__


# ── callbacks ────────────────────────────────────────────────────────────────────────────────────


def test_a_library_calls_a_tool_back(host: Host, engine: Engine) -> None:
    engine.answer = lambda arguments: -arguments["x"]
    back = {"$tool": "other/negate", "arguments": ["x"]}
    assert host("sample.sort_by", values=[1, 3, 2], key=back) == [3, 2, 1]
    assert host("sample.apply", function=back, values=[5]) == [-5]
    assert engine.asked[0] == ("tool", "other", "negate", {"x": 1})
    with pytest.raises(BadArguments, match="no callback is allowed here"):
        host("sample.same", value=back)
    with pytest.raises(BadArguments, match="have a name"):
        host("sample.apply", function={"$tool": "other/negate"}, values=[5])


# ── set-up ───────────────────────────────────────────────────────────────────────────────────────


def failed(path: Path) -> AdapterFailed:
    with pytest.raises(AdapterFailed) as caught:
        BridgeAdapter(str(path)).setup()
    return caught.value


def test_a_bridge_that_cannot_be_set_up(write: Callable[[str], Path], tmp_path: Path) -> None:
    assert "cannot read the manifest" in failed(tmp_path / "no.yaml").message
    wrong = failed(write("version: 1\nlibraries: [{module: math, functions: [sqr]}]"))
    assert "bridge.yaml:2: " in wrong.message
    assert "did you mean 'sqrt'?" in wrong.message


def test_a_lock_warns_or_refuses(
    write: Callable[[str], Path], engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "version: 1\nlibraries: [{module: math, functions: [sqrt]}]\n"
    path = write(text)
    path.with_name("bridge.lock").write_text(
        '{"version": 1, "libraries": {"math": "python 2.7"}, "tools": {}}', encoding="utf-8"
    )
    assert Host(path, engine)("math.sqrt", x=4) == 2.0
    said = capsys.readouterr().out
    assert said.startswith("warning: the libraries are not those of ")
    assert "+ math.sqrt(x, /)" in said
    refused = failed(write(f"strict_lock: true\n{text}"))
    assert "~ library math: python 2.7 is locked" in refused.message
    assert "citadel bridge lock" in refused.remedy


def test_a_stream_of_what_is_no_iterator_fails(
    write: Callable[[str], Path], engine: Engine
) -> None:
    host = Host(
        write("version: 1\nlibraries: [{module: math, functions: [{name: sqrt, stream: true}]}]"),
        engine,
    )
    with pytest.raises(CommandFailed, match="returned a float, which cannot be streamed"):
        host("math.sqrt", x=4)
