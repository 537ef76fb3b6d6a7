"""The command line: `citadel VERB`. One file a verb; a verb's file is loaded when it is used.

Results go to standard output, as tables or, with --json, as JSON. Everything else goes to standard
error. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
from typing import NoReturn


def main() -> NoReturn:
    """The console script `citadel`."""
    # gRPC's own log lines are no part of the error contract.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from citadel.cli.failure import run  # noqa: PLC0415 - the line above comes first
    from citadel.cli.root import citadel  # noqa: PLC0415 - as above

    run(citadel)
