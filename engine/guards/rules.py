"""The rules of resources/guards/rules.toml, compiled with RE2: linear time on any text."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import re2

from citadel.errors import BadConfig
from citadel.resources import resource

RULES = "guards/rules.toml"
MAX_MATCHES = 50
"""Matches of one rule that are reported."""


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
    """A pattern on the original text, whose matches are replaced."""

    id: str
    text: str
    pattern: Any
    check: Callable[[str], bool] | None

    @property
    def replacement(self) -> str:
        """What stands for it."""
        return f"[REDACTED:{self.id}]"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules. `candidates` says in one scan which ones can match at all."""

    rules: tuple[Rule, ...]
    redactions: tuple[Redaction, ...]
    scan: Any

    def candidates(self, text: str) -> list[Rule]:
        """The rules that match somewhere in the normalised text."""
        return [self.rules[index] for index in sorted(self.scan.Match(text) or ())]


def luhn(text: str) -> bool:
    """Whether digits carry a right check digit (ISO/IEC 7812-1)."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = (d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def iban(text: str) -> bool:
    """Whether an account number has right check digits (ISO 13616)."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_CHECKS: dict[str, Callable[[str], bool]] = {"luhn": luhn, "iban": iban}


@cache
def shipped_rules() -> RuleSet:
    """The rules that ship with Citadel."""
    return load_rules(resource(RULES))


def load_rules(path: Path) -> RuleSet:
    """Compiles a rule file.

    Raises:
        BadConfig: names the rule that cannot be read.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}", subject=str(path)) from error
    scan = re2.Set.SearchSet()
    rules: list[Rule] = []
    for entry in data["rules"]:
        pattern = _compiled(entry, path)
        scan.Add(entry["pattern"])
        channels = frozenset(cast("list[str]", entry.get("channels", ())))
        rules.append(Rule(entry["id"], entry["text"], pattern, float(entry["score"]), channels))
    scan.Compile()
    redactions = tuple(
        Redaction(
            entry["id"], entry["text"], _compiled(entry, path), _CHECKS.get(entry.get("check", ""))
        )
        for entry in data["redactions"]
    )
    return RuleSet(tuple(rules), redactions, scan)


def _compiled(entry: dict[str, Any], path: Path) -> Any:
    try:
        return re2.compile(entry["pattern"])
    except (re2.error, KeyError) as error:
        raise BadConfig(
            f"rule {entry.get('id')} of {path.name} cannot be compiled: {error}",
            subject=str(entry.get("id")),
        ) from error
