"""`poe bench [NAME ...] [--json FILE]`: runs the benchmarks, prints a table."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
from pathlib import Path

from benchmarks.harness import Ratio, table

BENCHMARKS = (
    "pool_calls",
    "pool_life",
    "pool_ray",
    "pool_streams",
    "pool_telemetry",
    "pool_values",
    "pool_wire",
    "spans",
    "telemetry_otlp",
    "telemetry_scrape",
    "telemetry_why",
    "waterfall",
)
GROUPS = {
    "pools": tuple(name for name in BENCHMARKS if name.startswith("pool_")),
    "telemetry": tuple(
        name for name in BENCHMARKS if name.startswith("telemetry_") or name == "spans"
    ),
}
"""Names for several at once."""


def main() -> None:
    """Runs what is named, or all."""
    parser = argparse.ArgumentParser(prog="poe bench", description=__doc__)
    known = ", ".join((*BENCHMARKS, *GROUPS))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {known}")
    parser.add_argument("--json", type=Path, help="write the raw figures here too")
    options = parser.parse_args()
    names = [each for name in options.names for each in GROUPS.get(name, (name,))]
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {known}")
    rows: list[Ratio] = []
    for name in names or BENCHMARKS:
        rows += importlib.import_module(f"benchmarks.{name}").run()
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores\n")
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=1))


if __name__ == "__main__":
    main()
