"""The parts of the command line that need no engine: texts, flags, trees."""

import time
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.cli import parameters, show, text
from citadel.cli.failure import report, run
from citadel.cli.trace import BAR, bar, tree
from citadel.errors import CitadelError, InvalidRequest
from citadel.wire.columns import pack
from citadel.wire.messages import MissionStatus

SCHEMA: dict[str, Any] = {
    "properties": {
        "path": {"type": "string", "description": "The folder"},
        "limit": {"type": "integer", "default": 0},
        "rate": {"type": "number"},
        "loop": {"type": "boolean"},
        "no_cache": {"type": "boolean"},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "tags": {"type": "array"},
        "dry_run": {"type": "boolean"},
    }
}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], {}),
        (["--path", "a b"], {"path": "a b"}),
        (["--path=x=y"], {"path": "x=y"}),
        (["--path", "--limit"], {"path": "--limit"}),
        (["--limit", "-3"], {"limit": -3}),
        (["--rate", "2.5", "--loop"], {"rate": 2.5, "loop": True}),
        (["--no-loop"], {"loop": False}),
        (["--loop=false"], {"loop": False}),
        (["--no-cache"], {"no_cache": True}),
        (["--seed", "4"], {"seed": 4}),
        (["--tags", '["a"]'], {"tags": ["a"]}),
        (["--dry-run"], {"dry_run": True}),
    ],
)
def test_flags_are_read_by_the_schema(arguments: list[str], found: dict[str, Any]) -> None:
    assert parameters.read(arguments, SCHEMA) == found


@pytest.mark.parametrize(
    ("arguments", "words", "remedy"),
    [
        (["path"], "'path' is no flag", "--NAME VALUE"),
        (["--pth", "x"], "no parameter --pth", "Did you mean --path?"),
        (["--zzz"], "no parameter --zzz", "--dry-run"),
        (["--no-path"], "no parameter --no-path", ""),
        (["--path"], "--path needs a value", ""),
        (["--limit", "x"], "--limit takes an integer, not 'x'", ""),
        (["--rate", "x"], "--rate takes a number, not 'x'", ""),
        (["--loop=maybe"], "--loop=maybe takes a boolean, not 'maybe'", ""),
        (["--tags", "["], "--tags takes an array", ""),
    ],
)
def test_flags_that_cannot_be_read_are_named(arguments: list[str], words: str, remedy: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parameters.read(arguments, SCHEMA)
    assert words in caught.value.message
    assert remedy in caught.value.remedy


def test_parameters_are_described() -> None:
    described = parameters.described(SCHEMA)
    assert described[:2] == [
        ("--path", "string", "", "The folder"),
        ("--limit", "integer", "0", ""),
    ]
    assert ("--seed", "integer", "", "") in described


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1 µs"),
        (12_400, "12.4 µs"),
        (3_210_000, "3.21 ms"),
        (999_600_000, "1 s"),
        (1.5e9, "1.5 s"),
        (252e9, "4 min 12 s"),
        (7_500e9, "2 h 5 min"),
    ],
)
def test_durations(nanoseconds: float, words: str) -> None:
    assert text.duration(nanoseconds) == words


def test_sizes_counts_and_times() -> None:
    assert [text.size(n) for n in (0, 999, 1_000, 35_200_000, 5e15)] == [
        "0 B",
        "999 B",
        "1 kB",
        "35.2 MB",
        "5e+03 TB",
    ]
    assert text.count(1_234_567) == "1,234,567"
    assert text.clock(0) == text.date(0) == text.ago(0) == ""
    moment = int(time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))) * 10**9 + 6_000_000
    assert text.clock(moment) == "03:04:05.006"
    assert text.date(moment) == "2026-01-02 03:04:05"
    assert text.ago(moment, moment + 12 * 10**9) == "12 s ago"


@given(st.text())
def test_a_clean_text_has_no_control_characters(value: str) -> None:
    cleaned = text.clean(value)
    assert len(cleaned) == len(value)
    assert not [c for c in cleaned if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f"]


def test_a_headline_is_one_line_without_a_traceback() -> None:
    long = "it failed: X: y\nTraceback (most recent call last):\n  File ..."
    assert text.headline(long) == "it failed: X: y"
    assert text.headline("a\n  b") == "a b"
    traceback = 'Traceback:\n  File "a.py", line 3, in f\n  File "b.py", line 12, in g\nX: y'
    assert text.place(traceback) == "b.py:12 in g"
    assert text.place("nothing") == ""


def test_cells_of_tables_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["a", "n:"], [("\x1b[31mred\x07 [bold]x[/bold] :smile:", 3)])
    show.record({"key": "\x1b]0;title\x07", "empty": "", "none": None, "zero": 0})
    show.note("\x1b[2J")
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\x07" not in said.out + said.err
    assert "[bold]x[/bold] :smile:" in said.out
    assert "empty" not in said.out
    assert "zero" in said.out


def test_an_empty_table_says_what_to_do_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.table(["a"], [], empty="there is nothing yet")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "there is nothing yet\n")


def test_json_has_one_trace_id_read_columns_and_no_lost_bytes() -> None:
    span = (1, 2, 3, 0, 5, 6, 1, 0, "n", "s", "v", "m", "c", "t", "p", '{"a": 1}', "[]")
    span = (*span, "[]", "", "", 0)
    (row,) = show.plain(pack("span", [span]))
    assert row["trace_id"] == "0" * 15 + "1" + "0" * 15 + "2"
    assert (row["span_id"], row["parent_id"]) == ("0" * 15 + "3", "")
    assert (row["attributes"], row["events"]) == ({"a": 1}, [])
    assert show.plain(MissionStatus(summary_json='{"x": 1}'))["summary"] == {"x": 1}
    assert show.plain(MissionStatus(summary_json="{broken"))["summary"] == "{broken"
    assert show.plain({1: (b"\x00", {2})}) == {"1": [{"base64": "AA=="}, [2]]}


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_bar_is_always_seen_and_fits(start: int, length: int, rest: int) -> None:
    whole = max(1, start + length + rest)
    drawn = bar(start, start + length, whole)
    assert len(drawn) == BAR
    assert "━" in drawn


@given(st.lists(st.integers(0, 30), max_size=30))
def test_a_tree_has_every_span_once_and_children_after_their_parent(parents: list[int]) -> None:
    spans = [
        # A parent before the span itself (its number is less), or one that is not there.
        {"span_id": n, "parent_id": parent if parent < n else 99, "start_ns": n}
        for n, parent in enumerate(parents, start=1)
    ]
    ordered = tree(spans)
    assert sorted(span["span_id"] for _, span in ordered) == list(range(1, len(parents) + 1))
    seen: dict[int, int] = {}
    for depth, span in ordered:
        parent = span["parent_id"]
        assert depth == (seen[parent] + 1 if parent in range(1, len(parents) + 1) else 0)
        seen[span["span_id"]] = depth


def test_a_chain_of_thousands_does_not_overflow() -> None:
    spans = [{"span_id": n, "parent_id": n - 1, "start_ns": n} for n in range(1, 20_001)]
    assert tree(spans)[-1][0] == 19_999


def test_an_error_that_is_not_ours_is_a_fault_of_ours_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CITADEL_DEBUG", raising=False)
    assert report(ZeroDivisionError("by zero"), wants_json=False) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: unexpected ZeroDivisionError: by zero (This is a fault")
    assert "Traceback" not in said
    monkeypatch.setenv("CITADEL_DEBUG", "1")
    report(ZeroDivisionError("by zero"), wants_json=False)
    assert "ZeroDivisionError" in capsys.readouterr().err


def command(error: BaseException) -> click.Command:
    def fail() -> None:
        raise error

    return click.Command("fail", callback=fail)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (CitadelError("gone", remedy="wait"), 1, "error: gone (wait)"),
        (ExceptionGroup("tasks", [CitadelError("inside")]), 1, "error: inside"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.UsageError("not so."), 2, "error: not so (See citadel --help)"),
        (FileNotFoundError(2, "No such file", "a.txt"), 1, "error: a.txt: No such file"),
    ],
)
def test_errors_become_exit_codes(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(command(error), [])
    assert caught.value.code == code
    assert words in capsys.readouterr().err
