"""The rules of resources/guards/rules.toml, compiled with RE2: linear time on any text.

A rule scores the normalised text; a redaction replaces what it matches. Any thread.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import re2

from citadel.errors import BadConfig
from citadel.resources import resource
from citadel.vocabulary import CHANNELS
from engine.guards.identifiers import CHECKS, Ranges

RULES = "guards/rules.toml"
SCAN_MEMORY = 64 << 20
"""Bytes that the scan of all rules may use for its automaton."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern on the normalised text, with the score of a match."""

    id: str
    text: str
    pattern: Any
    score: float
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Redaction:
    """A pattern whose matches, or the parts of them that pass its check, are replaced."""

    id: str
    text: str
    pattern: Any
    check: Callable[[str], Ranges] | None

    @property
    def replacement(self) -> str:
        """What stands for it."""
        return f"[REDACTED:{self.id}]"

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """The ranges to replace."""
        for match in self.pattern.finditer(text):
            at = match.start()
            if self.check is None:
                yield at, match.end()
            else:
                for start, end in self.check(match.group()):
                    yield at + start, at + end


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules. `candidates` says in one scan which ones can match at all."""

    rules: tuple[Rule, ...]
    redactions: tuple[Redaction, ...]
    scan: Any

    def candidates(self, text: str) -> list[Rule]:
        """The rules that match somewhere in the normalised text."""
        return [self.rules[index] for index in sorted(self.scan.Match(text) or ())]


@cache
def shipped_rules() -> RuleSet:
    """The rules that ship with Citadel."""
    return load_rules(resource(RULES))


def load_rules(path: Path) -> RuleSet:
    """Compiles a rule file.

    Raises:
        BadConfig: names the file, or the rule in it, that makes no sense.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}", subject=str(path)) from error
    rules = tuple(_rule(entry) for entry in data.get("rules", ()))
    redactions = tuple(_redaction(entry) for entry in data.get("redactions", ()))
    names = [each.id for each in (*rules, *redactions)]
    if repeated := {name for name in names if names.count(name) > 1}:
        name = min(repeated)
        raise BadConfig(f"two guard rules are named {name}", subject=name)
    scan = re2.Set.SearchSet(_options(SCAN_MEMORY))
    for rule in rules:
        scan.Add(rule.pattern.pattern)
    scan.Compile()
    return RuleSet(rules, redactions, scan)


def _options(memory: int = 0) -> Any:
    """RE2's options: it says what is wrong by raising, not on stderr."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory or options.max_mem
    return options


def _rule(entry: dict[str, Any]) -> Rule:
    name, text, pattern = _named(entry)
    score = entry.get("score")
    if not isinstance(score, int | float) or not 0 < score <= 1:
        raise BadConfig(f"the score of guard rule {name} is {score!r}", subject=name, remedy="0…1")
    channels = frozenset(cast("list[str]", entry.get("channels", CHANNELS)))
    if unknown := channels.difference(CHANNELS):
        raise BadConfig(f"guard rule {name} is for {min(unknown)!r}, no channel", subject=name)
    return Rule(name, text, pattern, float(score), channels)


def _redaction(entry: dict[str, Any]) -> Redaction:
    name, text, pattern = _named(entry)
    check = entry.get("check", "")
    if check and check not in CHECKS:
        raise BadConfig(
            f"guard rule {name} asks for the check {check!r}",
            subject=name,
            remedy=f"Checks are {', '.join(CHECKS)}",
        )
    return Redaction(name, text, pattern, CHECKS.get(check))


def _named(entry: dict[str, Any]) -> tuple[str, str, Any]:
    name = str(entry.get("id", "without an id"))
    try:
        return entry["id"], entry["text"], re2.compile(entry["pattern"], _options())
    except (re2.error, KeyError, TypeError) as error:
        raise BadConfig(f"guard rule {name} cannot be compiled: {error}", subject=name) from error
