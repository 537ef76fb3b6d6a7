"""Makes a zygote that cannot fork, as on a machine with too many processes."""

import errno
import os


def _fork() -> int:
    raise BlockingIOError(errno.EAGAIN, "too many processes")


os.fork = _fork
