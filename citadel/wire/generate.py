"""Makes the wire's code from its protos: `poe protos`.

Two things come out: the protobuf modules beside the protos, and `citadel/wire/messages.py`, frozen
dataclasses of the same shape, which is what the rest of Citadel handles. Runs in development only
(it needs grpcio-tools); `tests/meta/test_protos_fresh.py` proves that what is committed is what
comes out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO_DIR = Path("citadel/wire/v1")
MESSAGES = Path("citadel/wire/messages.py")

SCALARS = {
    "string": ("str", '""'),
    "bytes": ("bytes", 'b""'),
    "bool": ("bool", "False"),
    "double": ("float", "0.0"),
    "uint32": ("int", "0"),
    "uint64": ("int", "0"),
    "int64": ("int", "0"),
}

HEADER = '''"""The wire's messages as frozen dataclasses. Made by `poe protos` from the protos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
'''

_MESSAGE = re.compile(r"^message (\w+) \{(?:\}|\n(.*?)^\})", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (repeated )?(map<string, \w+>|\w+) (\w+) = \d+;$")


def protos(root: Path = ROOT) -> list[Path]:
    """The proto files, relative to the root, in a fixed order."""
    return sorted(path.relative_to(root) for path in (root / PROTO_DIR).glob("*.proto"))


def compile_protos(out: Path, root: Path = ROOT) -> None:
    """Writes `*_pb2.py` and `*_pb2.pyi` below `out`."""
    from grpc_tools import protoc  # noqa: PLC0415 - in development only

    arguments = ["protoc", f"-I{root}", f"--python_out={out}", f"--pyi_out={out}"]
    if protoc.main([*arguments, *(str(root / path) for path in protos(root))]):
        raise SystemExit("protoc refused the protos: see its message above")


def messages_source(root: Path = ROOT) -> str:
    """The text of messages.py."""
    parts = [HEADER]
    for path in protos(root):
        text = (root / path).read_text(encoding="utf-8")
        parts.extend(_dataclass(match, text) for match in _MESSAGE.finditer(text))
    return "\n\n".join(parts)


def _dataclass(match: re.Match[str], text: str) -> str:
    name = match[1]
    doc = " ".join(_comment_above(text, match.start())) or f"`citadel.wire.v1.{name}`."
    lines = ["@dataclass(frozen=True, slots=True, kw_only=True)", f"class {name}:"]
    lines += [f'    """{doc}"""', ""]
    lines += list(_fields(match[2] or ""))
    return "\n".join(lines).rstrip() + "\n"


def _comment_above(text: str, start: int) -> list[str]:
    comment: list[str] = []
    for line in reversed(text[:start].splitlines()):
        if not line.startswith("//"):
            break
        comment.insert(0, line.removeprefix("//").strip())
    return comment


def _fields(body: str) -> Iterator[str]:
    for line in body.splitlines():
        if line.startswith("  //"):
            yield "    # " + line.strip().removeprefix("//").strip()
        elif found := _FIELD.match(line):
            yield f"    {found[3]}: {_annotation(bool(found[1]), found[2])}"


def _annotation(repeated: bool, kind: str) -> str:
    if kind.startswith("map<"):
        value = SCALARS[kind.removeprefix("map<string, ").removesuffix(">")][0]
        return f"Mapping[str, {value}] = field(default_factory=dict[str, {value}])"
    if repeated:
        return f"tuple[{SCALARS.get(kind, (kind,))[0]}, ...] = ()"
    if kind in SCALARS:
        annotation, default = SCALARS[kind]
        return f"{annotation} = {default}"
    return f"{kind} | None = None"


def main() -> None:
    """Writes everything in place."""
    compile_protos(ROOT)
    (ROOT / MESSAGES).write_text(messages_source(), encoding="utf-8")
    sys.stdout.write(f"wrote {MESSAGES} and {len(protos())} protobuf modules\n")


if __name__ == "__main__":
    main()
