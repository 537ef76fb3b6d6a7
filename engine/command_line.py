"""The engine's command line: flags to options and settings. Runs before the loop."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from citadel.errors import BadConfig
from engine.settings import Settings, example, is_loopback, split_address
from engine.settings_sources import combine, load, parse_assignment

MAX_TOKEN_BYTES = 4_096
EMBEDDED_DEFAULTS = {"metrics": {"listen": "127.0.0.1:0"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a start is told."""

    settings: Settings
    embedded: bool
    recording: Path | None = None
    """A recording to serve, instead of an engine's own life."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadConfig(message, subject="flags", remedy="See python -m engine.main --help")


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Options of a command line.

    Raises:
        BadConfig: a flag, or a setting from anywhere, is wrong.
    """
    parsed = _parser().parse_args(arguments)
    flags: dict[str, Any] = combine(*(parse_assignment(text) for text in parsed.set))
    given = {
        "listen": parsed.listen or ("127.0.0.1:0" if parsed.embedded else None),
        "data_dir": parsed.data_dir,
        "metrics.listen": parsed.metrics,
        "tls.cert": parsed.tls_cert,
        "tls.key": parsed.tls_key,
        "tls.client_ca": parsed.tls_client_ca,
        "tls.self_signed": parsed.tls_self_signed,
        "auth.allow_plain_remote": parsed.allow_plain_remote,
    }
    for key, value in given.items():
        if value is not None:
            head, _, tail = key.partition(".")
            flags = combine(flags, {head: {tail: value} if tail else value})
    if parsed.recording is not None:  # beside engines that live, and with none of their data
        flags = combine({"listen": "127.0.0.1:0", "metrics": {"listen": ""}}, flags)
    defaults = EMBEDDED_DEFAULTS if parsed.embedded else {}
    settings = load(parsed.config, flags, defaults)
    if parsed.embedded and not is_loopback(split_address(settings.listen)[0]):
        raise BadConfig(
            f"an embedded engine cannot listen on {settings.listen}",
            subject="listen",
            remedy="Give a loopback address, or run it headless",
        )
    return Options(settings=settings, embedded=parsed.embedded, recording=parsed.recording)


def read_token() -> str:
    """The one-time token: the first line of standard input, read without a buffer.

    Raises:
        BadConfig: there is none.
    """
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= MAX_TOKEN_BYTES:
        part = os.read(0, 1)
        if not part:
            break
        line += part
    token = line.decode("ascii", "replace").strip()
    if not token or len(line) > MAX_TOKEN_BYTES:
        raise BadConfig(
            "an embedded engine takes a token from its standard input, and there was none",
            subject="--embedded",
            remedy="Write one line, and keep the input open for as long as it is to live",
        )
    return token


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="citadel engine",
        description="Runs an engine. Prints one line of JSON on stdout when it serves.",
        epilog="TOML file < environment (CITADEL_ENGINE_SECTION__KEY) < flags.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, a TOML file")
    parser.add_argument("--listen", metavar="HOST:PORT", help="address of gRPC; port 0 picks one")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where databases live")
    parser.add_argument("--metrics", metavar="HOST:PORT", help='address of /metrics; "": none')
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    parser.add_argument(
        "--tls-client-ca", type=Path, metavar="FILE", help="ask clients for a certificate of this"
    )
    parser.add_argument(
        "--tls-self-signed",
        action="store_true",
        default=None,
        help="make a certificate in the data folder; its fingerprint goes to stderr",
    )
    parser.add_argument(
        "--allow-plain-remote",
        action="store_true",
        default=None,
        help="serve other hosts without TLS: tokens and data cross the network readable",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any setting, such as sentinels.max_restarts=3",
    )
    parser.add_argument(
        "--embedded",
        action="store_true",
        help="a child of another program: token from stdin, ends when stdin closes",
    )
    parser.add_argument(
        "--recording", type=Path, metavar="FILE", help="serve a .citadel file, read-only"
    )
    parser.add_argument("--example-config", action=_ShowExample, help="print all settings and exit")
    return parser


class _ShowExample(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002 - argparse's name
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(example() + "\n")
        parser.exit()
