from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def as_found(cli: Any) -> Iterator[None]:
    before = cli("sampling", "show", "--json").json

    def flag(name: str, parts: dict[str, Any]) -> str:
        return f"--{name}=" + ",".join(f"{key}={value}" for key, value in parts.items() if value)

    yield
    for each in cli("sampling", "show", "--json").json["overrides"]:
        cli("sampling", "revert", each["id"])
    rules = [flag("rule", {"rate": "0.0", **rule}) for rule in before["rules"]]
    cli("sampling", "set", *rules, *(flag("keep", rule) for rule in before["keep"]))
    assert cli("sampling", "show", "--json").json["rules"] == before["rules"]


def test_a_command_is_explained_by_the_rule_that_dropped_it(cli: Any) -> None:
    said = cli(
        *("sampling", "set", "--rule", "id=mine,pool=shed,rate=0", "--keep", "none"),
        *("--reason", "too noisy"),
    )
    assert said.code == 0, said.err
    called = cli("pool", "call", "shed", "add", "--arguments", '{"a": 1, "b": 2}', "--json").json
    why = cli("why", called["trace_id"])
    assert why.code == 0
    assert re.search(r"fate +dropped, by rule", why.out)
    assert re.search(r"rule +mine, in revision \d+ of the policy", why.out)
    assert re.search(r"set by +cli, .*: too noisy", why.out)
    assert re.search(r"compared +[0-9a-f]{14} < 100000000000000", why.out)
    assert "pool=shed" in why.out
    told = cli("why", called["command"], "--json").json
    assert (told["trace_id"], told["cause"]) == (called["trace_id"], "rule")


def test_nobody_can_know_of_what_never_was(cli: Any) -> None:
    said = cli("why", "12" * 16)
    assert said.code == 1
    assert re.search(r"fate +unknown, by never_seen", said.out)
    none = cli("why", "no-such-command")
    assert (none.code, none.out) == (1, "")
    assert "no command no-such-command is known" in none.err


def test_an_override_is_shown_and_reverted_and_a_change_undone(cli: Any) -> None:
    before = cli("sampling", "show", "--json").json
    made = cli(
        *("sampling", "override", "id=look,pool=shed,rate=1", "--minutes", "5"),
        *("--reason", "an incident"),
    )
    assert re.search(r"look +pool=shed +1 +cli +.* +an incident", made.out)
    assert cli("sampling", "revert", "look", "--json").json["overrides"] == []
    slow = ("--keep", "id=slow,when=slower_than,seconds=2", "--keep", "id=errors,when=error")
    kept = cli("sampling", "set", *slow)
    assert re.search(r"slow +everything +slower_than 2", kept.out)
    assert cli("sampling", "undo", "--json").json["keep"] == before["keep"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--rule", "id=a,rate=2"], "no rate"),
        (["--rule", "id=a,rate=1,spans_per_second=x"], "no number"),
        (["--rule", "id=a,colour=red,rate=1"], "no part of a rule"),
        (["--keep", "id=a,when=always"], "does not know 'always'"),
        (["--keep", "id=a,when=slower_than"], "slower than 0"),
        (["--keep", "colour=red"], "no part of a keep-rule"),
        ([], "nothing is to be changed"),
        (["--rule", "id=a,name=[x,rate=1"], "cannot be read"),
        (["--rule", "id=a,event=x,spans_per_second=3,rate=1"], "for events"),
    ],
)
def test_what_cannot_be_read_changes_nothing(cli: Any, flags: list[str], told: str) -> None:
    before = cli("sampling", "show", "--json").json["revision"]
    said = cli("sampling", "set", *flags)
    assert (said.code, said.out) == (1, "")
    assert told in said.err
    assert cli("sampling", "show", "--json").json["revision"] == before


def test_globs_that_match_nothing_are_a_warning(cli: Any) -> None:
    cli("pool", "call", "shed", "add", "--arguments", '{"a": 1, "b": 2}')
    said = cli("sampling", "set", "--rule", "id=typo,pool=sched,rate=0.5")
    assert said.code == 0
    assert re.search(r"Rule typo fits none of the \d+ kinds of traces so far", said.err)
    shadowed = cli("sampling", "set", "--rule", "id=all,rate=1", "--rule", "id=late,rate=0")
    assert "Rule late is never asked" in shadowed.err
