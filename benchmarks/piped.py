"""A process behind a multiprocessing.Pipe: the peer of several benchmarks."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection


@contextmanager
def piped(serve: Callable[[Connection], None]) -> Iterator[Connection]:
    """Our end of a pipe whose other end a forked process serves, until it is ended."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
