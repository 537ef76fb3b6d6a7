"""What goes to standard output: tables for people, JSON for programs. Never both."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from citadel.cli.arrays import as_map
from citadel.cli.text import clean
from citadel.wire.columns import rows, unpack
from citadel.wire.messages import ColumnBatch

PIPED_WIDTH = 240
"""Characters of a line where there is no terminal to fit."""
_JSON_COLUMNS = frozenset(
    (
        *("attributes", "events", "labels"),
        *("rules", "keep", "overrides", "warnings", "links"),
        *("layers", "reasons"),
        *("before", "after", "parameters"),
    )
)
_STYLES = {
    "ready": "green",
    "serving": "green",
    "finished": "green",
    "allow": "green",
    "idle": "green",
    "busy": "cyan",
    "running": "cyan",
    "working": "cyan",
    "starting": "yellow",
    "draining": "yellow",
    "restarting": "yellow",
    "degraded": "yellow",
    "flag": "yellow",
    "warning": "yellow",
    "redact": "magenta",
    "lost": "red",
    "failed": "red",
    "error": "red",
    "block": "red",
    "quarantined": "red",
}


def console(*, stderr: bool = False) -> Console:
    """Where text goes: as wide as the terminal, or wide where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def as_json(value: Any, *, lines: bool = False) -> None:
    """Writes JSON: indented, or with `lines` on one line."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=None if lines else 2)
    sys.stdout.write(text + "\n")
    if lines:
        sys.stdout.flush()


def table(headers: Sequence[str], lines: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Writes a table; a header that ends in ":" is of numbers. States have their colour."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for header in headers:
        right = header.endswith(":")
        made.add_column(
            header.rstrip(":"),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right,
        )
    for line in lines:
        made.add_row(*(_cell(value) for value in line))
    if made.row_count:
        _print(made)
    elif empty:
        console(stderr=True).print(empty)


def record(pairs: Mapping[str, object]) -> None:
    """Writes names and values, a line each; empty values are left out."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value not in ("", None):
            made.add_row(name, _cell(value))
    _print(made)


def text(value: str) -> None:
    """Writes a text: as it is into a pipe or file, harmless onto a terminal."""
    sys.stdout.write((clean(value) if sys.stdout.isatty() else value) + "\n")


def note(text: str) -> None:
    """A line for people, on standard error."""
    console(stderr=True).print(clean(text), soft_wrap=True)


def plain(value: Any) -> Any:
    """JSON's types: `x_json` fields are read, ids are hex, tables are lists of rows."""
    if isinstance(value, ColumnBatch):
        return [row_plain(row) for row in rows(unpack(value))]
    if is_dataclass(value) and not isinstance(value, type):
        return dict(_field(f.name, getattr(value, f.name)) for f in fields(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, str | int | float | bool | None):
        return value
    found = as_map(value)
    return str(value) if found is None else plain(found)


def row_plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table, for people who read JSON: one trace id in hex, JSON columns read."""
    made: dict[str, Any] = {}
    for name, value in row.items():
        if name == "trace_hi":
            made["trace_id"] = f"{value:016x}{row['trace_lo']:016x}"
        elif name in ("span_id", "parent_id"):
            made[name] = f"{value:016x}" if value else ""
        elif name in _JSON_COLUMNS:
            made[name] = _read(value)
        elif name != "trace_lo":
            made[name] = value
    return made


def _print(made: Table) -> None:
    """Without the blanks that fill a table's lines, where no terminal needs them."""
    out = console()
    if out.is_terminal:
        out.print(made)
        return
    with out.capture() as captured:
        out.print(made)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join(line for line in lines if line) + "\n")


def _field(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_json") or name in ("parameters_schema", "input_schema", "output_schema"):
        return name.removesuffix("_json"), _read(value)
    return name, plain(value)


def _read(text: str) -> Any:
    if not text:
        return None
    with suppress(ValueError):
        return json.loads(text)
    return text


def _cell(value: object) -> Text:
    text = clean(value if isinstance(value, str) else str(value))
    return Text(text, style=_STYLES.get(text, ""))
