"""Values that travel: what goes in comes out, and what is hostile is refused with a WireError."""

import array
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from citadel import arrays, values
from citadel.errors import InvalidRequest, MessageTooLarge, WireError

DTYPES = ["<f8", ">f8", "<i2", "?", "<c16", "<M8[ns]", "<m8[s]", "S3", "<U4", "<f2", "V5"]
FIELDS = np.dtype([("a", "<i4"), ("b", "<f8", (2,)), ("c", [("d", "?"), ("e", "S2")])])


def both_ways(value: Any) -> list[Any]:
    """The value inline, apart in one string of bytes, and apart in parts."""
    everything = values.pack_parts(value, 1)
    nothing = values.pack_parts(value, 1 << 30)
    assert nothing.buffers == ()
    return [
        values.unpack(nothing.joined()),
        values.unpack(everything.joined()),
        values.unpack_parts(b"".join(everything.head), everything.buffers),
    ]


def same(found: Any, wanted: np.ndarray) -> None:
    assert type(found) is np.ndarray
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3), (3, 0, 2)])
def test_arrays_of_any_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    raw = np.arange(math.prod(shape) * np.dtype(dtype).itemsize, dtype=np.uint8) % 2
    wanted = (raw + (48 if dtype == "S3" else 0)).view(dtype).reshape(shape) if raw.size else None
    wanted = np.zeros(shape, dtype) if wanted is None else wanted
    for found in both_ways(wanted):
        same(found, wanted)


def test_structured_fortran_strided_and_padded_arrays() -> None:
    fields = np.zeros(4, FIELDS)
    fields["a"], fields["b"][:, 1] = np.arange(4), 2.5
    grid = np.arange(24.0).reshape(2, 3, 4)
    padded = np.zeros(3, np.dtype([("a", "u1"), ("b", "<f8")], align=True))
    for wanted in (
        fields,
        np.asfortranarray(grid),
        grid[:, ::2, ::-1],
        grid.T,
        padded,
        fields[::2],
    ):
        for found in both_ways({"x": [wanted]}):
            same(found["x"][0], wanted)


def test_fortran_order_stays() -> None:
    found = values.unpack(values.pack(np.asfortranarray(np.ones((3, 4)))))
    assert found.flags.f_contiguous
    assert not found.flags.c_contiguous


@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)))
def test_any_array(wanted: np.ndarray) -> None:
    if not wanted.dtype.itemsize:
        return
    for found in both_ways(wanted):
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        assert found.tobytes() == wanted.tobytes()


def test_scalars_keep_their_type() -> None:
    wanted = [np.int16(-3), np.float32(0.5), np.bool_(True), np.datetime64("2026-01-02", "D")]
    for found in both_ways(wanted):
        assert found == wanted
        assert [type(each) for each in found] == [type(each) for each in wanted]


def test_what_msgpack_knows_is_as_it_was() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "b": b"\0" * 70_000, "c": bytearray(b"12"), 3: {}}
    assert values.pack(value) == msgpack.packb(value)
    assert values.pack(memoryview(b"abc")) == msgpack.packb(b"abc")
    assert values.pack(b"x" * 70_000) == msgpack.packb(b"x" * 70_000)
    assert values.pack({"few": b"x" * 5000, "one": 1}) == msgpack.packb(
        {"few": b"x" * 5000, "one": 1}
    )
    assert values.pack(np.float64(0.5)) == msgpack.packb(0.5)


def test_large_bytes_are_not_copied_into_the_head() -> None:
    large = bytes(100_000)
    parcel = values.Encoder().parts({"data": large, "n": 1}, 4096)
    assert any(piece is large for piece in parcel.head)
    assert values.unpack(parcel.joined()) == {"data": large, "n": 1}


@pytest.mark.parametrize("make", [bytes, lambda size: {"data": bytes(size), "n": 1}])
def test_large_bytes_are_a_buffer_apart_and_come_back_as_bytes(make: Callable[[int], Any]) -> None:
    value = make(100_000)
    parcel = values.pack_parts(value, 4096)
    assert [each.nbytes for each in parcel.buffers] == [100_000]
    assert parcel.head_bytes < 100
    found = parcel.unpacked()
    assert found == value
    assert type(found["data"] if isinstance(found, dict) else found) is bytes
    assert values.unpack(parcel.joined()) == value


def test_packed_large_bytes_are_plain_msgpack() -> None:
    value = {"data": bytes(100_000), "n": 1}
    assert msgpack.unpackb(values.pack(value)) == value


def test_bytes_that_are_named_often_are_copied_once() -> None:
    (head,) = values.pack_parts(bytes(100_000), 4096).head
    many = values.unpack_parts(b"\xdc\x03\xe8" + bytes(head) * 1000, [memoryview(bytes(100_000))])
    assert len(many) == 1000
    assert len({id(each) for each in many}) == 1


def test_bytes_apart_are_only_taken_from_buffers_that_are_there() -> None:
    (head,) = values.pack_parts(bytes(100_000), 4096).head
    with pytest.raises(WireError, match="buffer 0 of kind 7"):
        values.unpack_parts(head, [])


def test_buffers_come_back_as_read_only_views_with_their_format() -> None:
    doubles = array.array("d", [1.0, 2.0, 3.0])
    longs = array.array("l", [1, -2])
    grid = pickle.PickleBuffer(np.arange(6, dtype=np.int32).reshape(2, 3))
    for found in both_ways([doubles, longs, grid, array.array("d")]):
        assert [view.readonly for view in found] == [True] * 4
        assert found[0].tolist() == [1.0, 2.0, 3.0]
        assert found[1].tolist() == [1, -2]
        assert found[2].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found[3].tolist() == []


def test_arrow_tables_batches_arrays_and_chunks() -> None:
    table = pa.table({"n": [1, 2, None], "s": ["a", "bb", None], "l": [[1], [], [2, 3]]})
    batch = table.to_batches()[0]
    chunked = pa.chunked_array([[1, 2], [3]])
    codes = pa.array(["x", "y", "x"]).dictionary_encode()
    for found in both_ways([table, batch, chunked, codes, table.slice(1, 1), table.slice(0, 0)]):
        assert found[0].equals(table)
        assert found[1].equals(batch)
        assert isinstance(found[1], pa.RecordBatch)
        assert found[2].equals(chunked)
        assert found[3].equals(codes)
        assert found[4].equals(table.slice(1, 1))
        assert found[5].num_rows == 0


def test_an_arrow_table_is_a_view_of_its_buffer() -> None:
    table = pa.table({"n": np.arange(10_000)})
    parcel = values.pack_parts(table, 4096)
    raw = bytearray(parcel.buffers[0])
    found = values.unpack_parts(b"".join(parcel.head), [memoryview(raw)])
    raw[raw.index((9_999).to_bytes(8, "little"))] = 0
    assert found.column("n")[9_999].as_py() == 9_984


class Tensor:
    """A stranger's tensor: it speaks DLPack and nothing else."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data

    def __dlpack__(self, **options: Any) -> Any:
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()


class OnDevice(Tensor):
    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("it lies on device cuda:0")


class Image:
    """A stranger's picture: it speaks numpy's interface."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data
        self.__array_interface__ = data.__array_interface__

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self._data.__array_interface__

    @__array_interface__.setter
    def __array_interface__(self, value: dict[str, Any]) -> None: ...


def test_strangers_that_speak_dlpack_or_numpys_interface() -> None:
    data = np.arange(12.0).reshape(3, 4)
    for stranger in (Tensor(data), Image(data)):
        for found in both_ways(stranger):
            same(found, data)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.array([{}], object), "Python objects"),
        (np.zeros(2, [("a", object)]), "Python objects"),
        (np.array(["a"], np.dtypes.StringDType()), "Python objects"),
        (np.ma.masked_array([1, 2], [True, False]), "mask"),
        (np.zeros(3, "V0"), "no bytes"),
        (np.zeros(1, [(f"field {i:06d}", "i4") for i in range(5000)]), "bytes to describe"),
        (OnDevice(np.zeros(1)), "move it to the CPU"),
        ({"deep": [object()]}, r"builtins\.object cannot be sent"),
        (1 << 80, "cannot be sent"),
    ],
)
def test_what_cannot_travel_is_refused_with_a_remedy(value: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        values.pack(value)
    assert caught.value.remedy


def test_an_encoder_serves_on_after_a_refusal() -> None:
    encoder = values.Encoder()
    with pytest.raises(TypeError):
        encoder.parts([np.zeros(9000), object()])
    assert values.unpack(encoder.parts([1]).joined()) == [1]


def test_a_default_turns_what_is_not_known_into_what_is() -> None:
    packed = values.pack({"x": {3}}, default=lambda value: [*value, np.arange(3)])
    found = values.unpack(packed)["x"]
    assert found[0] == 3
    same(found[1], np.arange(3))


def test_joined_parts_are_aligned() -> None:
    parcel = values.pack_parts([np.arange(1000.0), np.arange(999.0)], 8)
    packed = parcel.joined()
    for each in parcel.buffers:
        assert packed.index(bytes(each)) % values.ALIGNMENT == 0
    assert msgpack.unpackb(packed).code == values.JOINED


def test_more_than_msgpack_carries_is_refused_before_it_is_copied() -> None:
    huge = np.broadcast_to(np.zeros(1, np.uint8), (3,))
    vast = np.zeros(5 << 30, np.uint8)  # never touched: no memory is used
    parcel = values.pack_parts([huge, vast], 4096)
    with pytest.raises(MessageTooLarge):
        parcel.joined()


# ── hostile bytes ────────────────────────────────────────────────────────────────────────────────


def extension(header: Any, raw: bytes = b"", code: int = arrays.ARRAY) -> bytes:
    packed = msgpack.packb(header)
    body = len(packed).to_bytes(4, "big") + packed
    return msgpack.packb(msgpack.ExtType(code, body + bytes(-len(body) % 16) + raw))


HOSTILE = [
    b"",
    b"\xc1",
    b"\xdd\xff\xff\xff\xff",
    b"\x91" * 2000,
    b"\x01\x02",
    b"\x81\x80\x80",
    extension(["|O", [1], "C"], bytes(8)),
    extension([[["a", "|O"]], [1], "C"], bytes(8)),
    extension(["<f8", [2], "C"], bytes(8)),
    extension(["<f8", [-1], "C"], bytes(8)),
    extension(["<f8", [2**40, 2**40], "C"], bytes(8)),
    extension(["<f8", [1.0], "C"], bytes(8)),
    extension(["<f8", [1], "K"], bytes(8)),
    extension(["<f8", [1] * 33, "C"], bytes(8)),
    extension(["S0", [2**40], "C"]),
    extension([{"names": ["a"], "formats": ["O"]}, [1], "C"], bytes(8)),
    extension("<f8", bytes(8)),
    extension([[["a", "<f8", [2**31]]], [1], "C"], bytes(8)),
    extension(["B"], b"x", arrays.BUFFER),
    extension(["P", [1]], bytes(8), arrays.BUFFER),
    extension(["d", [3]], bytes(8), arrays.BUFFER),
    extension(["table"], b"no stream", arrays.ARROW),
    extension(["pickle"], b"", arrays.ARROW),
    extension(["x" * 70_000, [1], "C"]),
    msgpack.packb(msgpack.ExtType(arrays.ARRAY, b"\xff\xff\xff\xff")),
    msgpack.packb(msgpack.ExtType(arrays.ARRAY, b"\0")),
    msgpack.packb(msgpack.ExtType(values.APART, b"\x01\0\0\0\0")),
    msgpack.packb(msgpack.ExtType(values.APART, b"\x01")),
    msgpack.packb([msgpack.ExtType(values.JOINED, bytes(40))]),
    b"\xc9\0\0\0\x20\x06" + b"\xff" * 32,
    b"\xc9\xff\xff\xff\xff\x06" + b"\0" * 32,
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes(data: bytes) -> None:
    with pytest.raises(WireError):
        values.unpack(data)


def test_a_lying_arrow_stream() -> None:
    packed = bytearray(values.pack(pa.array(["aa", "bb", "cc"])))
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 2, 4, 6))
    at = packed.index(offsets)
    packed[at + 4 : at + 8] = (2**30).to_bytes(4, "little")
    with pytest.raises(WireError):
        values.unpack(bytes(packed))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_wire_error(data: bytes) -> None:
    try:
        values.unpack(data)
    except WireError:
        return


SEEDS = [
    values.pack(value)
    for value in (
        np.arange(4.0),
        np.zeros(3, FIELDS),
        array.array("i", [1, 2]),
        pa.table({"s": ["a", "b"], "n": [1, 2]}),
        [np.arange(2000.0), {"x": np.int8(3)}],
    )
]


@given(st.sampled_from(SEEDS), st.data())
def test_any_damage_is_a_value_or_a_wire_error(seed: bytes, data: st.DataObject) -> None:
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(seed) - 1))] = data.draw(st.integers(0, 255))
    try:
        values.unpack(bytes(damaged[: data.draw(st.integers(0, len(seed)))]))
    except WireError:
        return


def test_neither_numpy_nor_pyarrow_nor_pickle_is_imported_for_plain_values() -> None:
    code = (
        "import sys; from citadel import values\n"
        "assert values.unpack(values.pack({'a': [1, b'x' * 9000]})) == {'a': [1, b'x' * 9000]}\n"
        "sys.exit(' '.join({'numpy', 'pyarrow', 'pickle', '_pickle'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stderr.strip() == ""
