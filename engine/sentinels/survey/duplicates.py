"""Which lines of a survey's files stand elsewhere too: by the hashes of blocks, in numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Blocks = NDArray[np.uint64]
"""One row a block: its hash, then the numbers of its lines."""


def duplicated_lines(files: Mapping[str, Blocks]) -> dict[str, int]:
    """The number of lines in each file that are in a block that occurs more than once."""
    hashes = [table[:, 0] for table in files.values() if len(table)]
    if not hashes:
        return dict.fromkeys(files, 0)
    values, counts = np.unique(np.concatenate(hashes), return_counts=True)
    repeated = values[counts > 1]
    return {path: _lines(table, repeated) for path, table in files.items()}


def _lines(table: Blocks, repeated: Blocks) -> int:
    if not len(table):
        return 0
    return len(np.unique(table[np.isin(table[:, 0], repeated), 1:]))
