"""Leaves a zygote room for fewer descriptors than a worker is handed."""

import resource
from pathlib import Path

taken = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
free = (each for each in range(1 << 16) if each not in taken)
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, ([next(free) for _ in range(4)][-1], most))
