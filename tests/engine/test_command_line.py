"""Flags to settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadel.errors import BadConfig
from engine.command_line import read_options, read_token


def test_flags_become_settings(tmp_path: Path) -> None:
    options = read_options(
        [
            "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path), "--metrics", "",
            "--set", "sentinels.max_restarts=9", "--tls-self-signed",
        ]
    )  # fmt: skip
    settings = options.settings
    assert settings.listen == "127.0.0.1:0"
    assert settings.data_dir == tmp_path
    assert settings.metrics.listen == ""
    assert settings.sentinels.max_restarts == 9
    assert settings.tls.self_signed
    assert not options.embedded


def test_embedded_listens_on_ports_of_its_own() -> None:
    options = read_options(["--embedded"])
    assert options.embedded
    assert options.settings.listen == "127.0.0.1:0"
    assert options.settings.metrics.listen == "127.0.0.1:0"


def test_embedded_stays_on_loopback() -> None:
    with pytest.raises(BadConfig, match="embedded"):
        read_options(
            [
                "--embedded", "--listen", "0.0.0.0:0", "--tls-self-signed", "--set",
                'auth.tokens=[{name="a", sha256="' + "0" * 64 + '"}]',
            ]
        )  # fmt: skip


@pytest.mark.parametrize("flags", [["--lissen", "x"], ["--set", "nonsense"], ["--list", "x"]])
def test_a_wrong_flag_is_bad_config(flags: list[str]) -> None:
    with pytest.raises(BadConfig):
        read_options(flags)


def test_the_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        read_options(["--example-config"])
    assert not end.value.code
    assert "[[pools]]" in capsys.readouterr().out


@pytest.fixture
def stdin() -> Iterator[int]:
    """A pipe in place of standard input; yields its writing end."""
    saved = os.dup(0)
    read, write = os.pipe()
    os.dup2(read, 0)
    os.close(read)
    yield write
    os.dup2(saved, 0)
    os.close(saved)


def test_the_token_is_the_first_line_and_no_more(stdin: int) -> None:
    os.write(stdin, b"secret-token\nrest")
    assert read_token() == "secret-token"
    assert os.read(0, 10) == b"rest"
    os.close(stdin)


@pytest.mark.parametrize("line", [b"", b"\n", b"x" * 5_000])
def test_no_token_or_a_flood(stdin: int, line: bytes) -> None:
    os.write(stdin, line)
    os.close(stdin)
    with pytest.raises(BadConfig, match="token"):
        read_token()
