"""Arrays, tables and buffers: taken apart into a header and raw bytes, and put together again.

The two halves of the extension types of `citadel.values`. What comes in is judged: a dtype with
Python objects, a shape that has not its bytes, an Arrow stream that does not validate are refused.
Nothing is ever unpickled. numpy and pyarrow are imported when a value is theirs, or becomes theirs.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import msgpack

from citadel.errors import WireError

ARRAY, SCALAR, BUFFER, ARROW = 1, 2, 3, 4
MAX_DIMENSIONS = 32
MAX_HEADER_BYTES = 64 * 1024
OLDEST_ARROW = 15
"""Earlier ones unpickle what an extension type's metadata say."""
_INTEGERS = {1: "b", 2: "h", 4: "i", 8: "q"}
_FLOATS = {2: "e", 4: "f", 8: "d"}
_FORMATS = frozenset("bBhHiIqQefd?c")
_REFUSE_OBJECTS = (
    "an array of Python objects (dtype object) cannot be sent: give it a dtype of numbers or texts,"
    " or send a list"
)

Apart = tuple[int, list[Any], memoryview]
"""Which extension type, its header, and its bytes."""


def taken_apart(value: Any) -> Apart | None:
    """An array, table or buffer as header and bytes, not copied where it lies in one piece.

    Returns None when the value is none of these.

    Raises:
        TypeError: it is one, but cannot be sent; says what to do instead.
    """
    kind = type(value)
    np: Any = sys.modules.get("numpy")
    if np is not None and isinstance(value, np.ndarray | np.generic):
        return _numpy_apart(np, value)
    if kind.__module__.partition(".")[0] == "pyarrow" and (found := _arrow_apart(value)):
        return found
    if hasattr(kind, "__dlpack__"):
        return _foreign_apart(value)
    if hasattr(kind, "__array_interface__"):
        import numpy as np  # noqa: PLC0415 - only for values that speak its language

        return _numpy_apart(np, np.asarray(value))
    try:
        view = memoryview(value)
    except TypeError:
        return None
    return _buffer_apart(view)


def put_together(code: int, header: bytes, raw: memoryview) -> Any:
    """What `taken_apart` took apart, as a read-only view of the bytes.

    Raises:
        WireError: header and bytes are not what the code says.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise WireError(f"a value's header has {len(header)} bytes, more than {MAX_HEADER_BYTES}")
    try:
        about = msgpack.unpackb(header, strict_map_key=False)
        if code == ARROW:
            return _arrow(about, raw)
        if code == BUFFER:
            return _buffer(about, raw)
        return _array(about, raw, scalar=code == SCALAR)
    except WireError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise WireError(f"a value of kind {code} cannot be read: {kind}: {error}") from error


# ── numpy ────────────────────────────────────────────────────────────────────────────────────────


def _numpy_apart(np: Any, value: Any) -> Apart:
    scalar = isinstance(value, np.generic)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("a masked array cannot be sent: send .filled(), or its data and its mask")
    array = np.asarray(value)
    described = _described(np, array.dtype)
    if array.ndim > MAX_DIMENSIONS:
        raise TypeError(f"an array of {array.ndim} dimensions cannot be sent")
    order = "C"
    if not array.flags.c_contiguous:
        if array.flags.f_contiguous:
            order, array = "F", array.T
        else:
            array = np.ascontiguousarray(array)
    shape = list(array.shape if order == "C" else reversed(array.shape))
    raw = memoryview(b"")
    if array.nbytes:
        raw = array.reshape(-1).view(np.uint8).data
    return (SCALAR if scalar else ARRAY), [described, shape, order], raw


def _described(np: Any, dtype: Any) -> Any:
    """A dtype as a text, or as a list of fields."""
    if dtype.hasobject:
        raise TypeError(_REFUSE_OBJECTS)
    if not dtype.itemsize:
        raise TypeError(f"an array of dtype {dtype} has items of no bytes")
    if dtype.names is not None:
        try:
            return dtype.descr
        except ValueError as error:
            raise TypeError(f"an array of dtype {dtype} cannot be sent: {error}") from error
    if dtype.kind == "V" and dtype.type is not np.void:
        raise TypeError(f"numpy itself does not know dtype {dtype.name}: send a view of another")
    return dtype.str


def _array(about: Any, raw: memoryview, *, scalar: bool) -> Any:
    import numpy as np  # noqa: PLC0415 - only when an array comes

    described, shape, order = about
    dtype = np.lib.format.descr_to_dtype(_fields(described))
    if dtype.hasobject or not dtype.itemsize or order not in {"C", "F"}:
        raise WireError(f"an array of dtype {dtype}, order {order!r} is not taken")
    _check_shape(shape, dtype.itemsize, raw)
    # frombuffer knows no empty buffers
    flat = np.frombuffer(raw, dtype) if raw.nbytes else np.empty(0, dtype)
    array = flat.reshape(tuple(shape), order=order)
    array.flags.writeable = False
    return array[()] if scalar else array


def _fields(described: Any) -> Any:
    """The fields of a structured dtype, as tuples again."""
    if isinstance(described, str):
        return described
    found: list[Any] = []
    for name, kind, *rest in described:
        named = tuple(name) if isinstance(name, list) else name
        shapes = [tuple(shape) for shape in rest]
        found.append((named, _fields(kind), *shapes))
    return found


def _check_shape(shape: Any, itemsize: int, raw: memoryview) -> None:
    whole = all(type(each) is int and each >= 0 for each in shape)
    if len(shape) > MAX_DIMENSIONS or not whole or math.prod(shape) * itemsize != raw.nbytes:
        raise WireError(f"shape {shape} of {itemsize} bytes each has not {raw.nbytes} bytes")


def _foreign_apart(value: Any) -> Apart:
    """A tensor of another library, by DLPack."""
    import numpy as np  # noqa: PLC0415 - only for tensors

    try:
        array = np.from_dlpack(value)
    except Exception as error:
        kind = type(value)
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} does not give its memory: {error};"
            " detach it, move it to the CPU, and to a dtype that numpy has"
        ) from error
    return _numpy_apart(np, array)


# ── the buffer protocol ──────────────────────────────────────────────────────────────────────────


def _buffer_apart(view: memoryview) -> Apart:
    form, shape = _standard(view), list(view.shape or ())
    if form == "B" and view.format not in {"B", "@B"}:
        shape = [view.nbytes]
    if not view.c_contiguous:
        view = memoryview(view.tobytes())
    raw = view.cast("B") if view.nbytes else memoryview(b"")
    return BUFFER, [form, shape], raw


def _standard(view: memoryview) -> str:
    """The format of a buffer's items in letters that are the same everywhere; else bytes."""
    form = view.format.removeprefix("@")
    if form in {"l", "n", "L", "N"}:
        letter = _INTEGERS[view.itemsize]
        return letter.upper() if form.isupper() else letter
    return form if form in _FORMATS else "B"


def _buffer(about: Any, raw: memoryview) -> memoryview:
    form, shape = about
    if form not in _FORMATS:
        raise WireError(f"a buffer of format {form!r} is not taken")
    flat = raw.toreadonly().cast("B").cast(form)
    _check_shape(shape, flat.itemsize, raw)
    # Shapes with a zero are beyond `cast`.
    return flat.cast("B").cast(form, shape) if len(shape) != 1 and raw.nbytes else flat


# ── Arrow ────────────────────────────────────────────────────────────────────────────────────────


def _arrow_apart(value: Any) -> Apart | None:
    pa = _pyarrow()
    if isinstance(value, pa.Table):
        return _stream(pa, "table", value)
    if isinstance(value, pa.RecordBatch):
        return _stream(pa, "batch", value)
    if isinstance(value, pa.Array):
        return _stream(pa, "array", pa.RecordBatch.from_arrays([value], names=[""]))
    if isinstance(value, pa.ChunkedArray):
        return _stream(pa, "chunked", pa.Table.from_arrays([value], names=[""]))
    return None


def _stream(pa: Any, kind: str, value: Any) -> Apart:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, value.schema) as writer:
        writer.write(value)
    return ARROW, [kind], memoryview(sink.getvalue()).cast("B")


def _arrow(about: Any, raw: memoryview) -> Any:
    pa = _pyarrow()
    (kind,) = about
    if kind not in {"table", "batch", "array", "chunked"}:
        raise WireError(f"an Arrow value of kind {kind!r} is not taken")
    with pa.ipc.open_stream(pa.py_buffer(raw)) as reader:
        found = reader.read_next_batch() if kind in {"batch", "array"} else reader.read_all()
    # Offsets that lie would crash whoever follows them.
    found.validate(full=True)
    return found.column(0) if kind in {"array", "chunked"} else found


def _pyarrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional library, imported when a value is Arrow's
    except ImportError as error:
        raise WireError(
            "an Arrow value came, and pyarrow is not installed here",
            remedy="Install pyarrow in this environment",
        ) from error
    if int(pa.__version__.partition(".")[0]) < OLDEST_ARROW:
        raise WireError(
            f"pyarrow {pa.__version__} reads Arrow values unsafely",
            remedy=f"Install pyarrow {OLDEST_ARROW} or newer",
        )
    return pa
