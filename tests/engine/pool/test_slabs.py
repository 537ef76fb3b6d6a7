"""Shared memory: who may write, who may not, and who has a block."""

import gc
import mmap
import os
import platform
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from engine.pool import slabs

SIZE = 1 << 20
pytestmark = pytest.mark.skipif(not slabs.AVAILABLE, reason="no descriptors to hand down")


@pytest.fixture
def pair():
    descriptor = slabs.create(SIZE)
    reading = slabs.reader(descriptor)
    writing = slabs.writer(descriptor)
    yield writing, reading, descriptor
    os.close(descriptor)


def test_what_one_side_writes_the_other_reads_in_place(pair) -> None:
    writing, reading, _ = pair
    writing.write(4096, b"hello")
    view = reading.view(4096, 5, lambda: None)
    assert bytes(view) == reading.read(4096, 5) == b"hello"
    writing.write(4096, b"world")
    assert bytes(view) == b"world"
    assert view.readonly


def test_a_block_is_gone_when_the_last_that_looks_at_it_is(pair) -> None:
    writing, reading, _ = pair
    writing.write(0, np.arange(8.0).data.cast("B"))
    gone: list[int] = []
    view = reading.view(0, 64, lambda: gone.append(1))
    array = np.frombuffer(view, np.float64)
    del view
    part = array[2:4].reshape(2, 1)
    buffer = pa.py_buffer(part)
    del array
    gc.collect()
    assert gone == []
    assert part.tolist() == [[2.0], [3.0]]
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1
    del part
    gc.collect()
    assert gone == []
    del buffer
    gc.collect()
    assert gone == [1]


def test_a_view_outlives_its_slab(pair) -> None:
    _, _, descriptor = pair
    slab = slabs.reader(descriptor)
    view = slab.view(0, 100, lambda: None)
    del slab
    gc.collect()
    assert bytes(view) == bytes(100)


def test_a_slab_finds_its_own_bytes(pair) -> None:
    writing, reading, _ = pair
    view = writing.view(8192, 1000, lambda: None, writable=True)
    array = np.frombuffer(view, np.uint8)[100:200]
    array[:] = 7
    assert writing.find(array.data) == 8292
    assert reading.find(array.data) is None
    assert writing.find(memoryview(b"elsewhere")) is None
    assert writing.find(memoryview(b"")) is None
    assert reading.read(8292, 100) == b"\x07" * 100


@pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")
def test_nobody_can_write_besides_or_change_the_size(pair) -> None:
    _, _, descriptor = pair
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, SIZE)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    for size in (0, 2 * SIZE):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)


def test_a_slab_takes_no_memory_before_it_is_used() -> None:
    descriptor = slabs.create(1 << 36)
    try:
        slab = slabs.writer(descriptor)
        slab.write(1 << 30, b"x")
        assert os.fstat(descriptor).st_blocks * 512 < 1 << 20
    finally:
        os.close(descriptor)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc can be told")
def test_memory_of_large_values_is_used_again_without_faults() -> None:
    code = (
        "import resource\n"
        "from engine.pool import slabs\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(50): [bytes(1 << 20) for _ in range(4)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "slabs.keep_freed_memory(); faults(); print(faults())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50 * 4, "each piece alone would be 256 pages"


def test_ctypes_is_imported_only_where_slabs_are_used() -> None:
    code = "import sys, engine.pool.slabs; sys.exit('ctypes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
