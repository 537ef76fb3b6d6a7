"""Windows: one job object that every worker is put in, and that the kernel ends with the engine.

The engine holds the only handle, never closed: when the engine's process ends, however it ends, the
kernel closes it and kills what is in the job, what workers started included. On other systems there
is nothing to do here. Written to the documented interface; no test runs it on Windows yet.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_EXTENDED_LIMITS = 9
_KILL_ON_CLOSE = 0x2000
_SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("per_process_time", ctypes.c_int64),
        ("per_job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("basic", _BasicLimits),
        ("io", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


def hold(pid: int) -> bool:
    """Puts a process in the engine's job; False where there is none, or the system refuses."""
    if sys.platform != "win32":
        return False
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    job = _job()
    kernel.OpenProcess.restype = ctypes.c_void_p
    process = kernel.OpenProcess(_SET_QUOTA_AND_TERMINATE, False, pid)
    if not job or not process:
        return False
    try:
        done = kernel.AssignProcessToJobObject(ctypes.c_void_p(job), ctypes.c_void_p(process))
        return bool(done)
    finally:
        kernel.CloseHandle(ctypes.c_void_p(process))


@cache
def _job() -> int:
    """The engine's job; 0: the system made none."""
    if sys.platform != "win32":
        return 0
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = ctypes.c_void_p
    job = kernel.CreateJobObjectW(None, None)
    limits = _ExtendedLimits()
    limits.basic.flags = _KILL_ON_CLOSE
    if not job or not kernel.SetInformationJobObject(
        ctypes.c_void_p(job), _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
    ):
        return 0
    return int(job)
