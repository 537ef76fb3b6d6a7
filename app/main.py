"""The control room's way in: `python -m app.main`, `citadel-desktop`.

The window is painted first, and what is slow to import comes after. Main thread only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from app import options
from citadel.display import has_display

_NO_DISPLAY = """\
There is no display here, so no window can open. Draw it to a file instead:
    python -m app.render --view bridge --out citadel.png
or connect from a machine that has one:
    citadel-desktop --connect HOST:PORT"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Opens the control room; returns when it was closed."""
    chosen = options.parse(arguments)
    if not has_display():
        print(_NO_DISPLAY, file=sys.stderr)  # noqa: T201 - this is a command line
        return options.NO_DISPLAY
    from PySide6.QtCore import QSettings  # noqa: PLC0415 - not before it is known to be of use

    from app import aio  # noqa: PLC0415 - as above
    from app.room import ControlRoom, application  # noqa: PLC0415 - as above

    made = application(sys.argv[:1])
    room = ControlRoom(made, chosen, QSettings())
    return aio.run(made, room.run)


if __name__ == "__main__":
    sys.exit(main())
