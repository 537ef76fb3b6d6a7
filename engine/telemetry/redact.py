"""Secrets leave before anything is stored or streamed: by the name of a key, and inside texts.

Keys are read word by word, so `access_token` and `clientSecret` are secrets and `input_tokens` is a
count. It is no promise that a secret under an innocent name is found. Pure; runs where rows are
made.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

REDACTED = "[REDACTED]"

_MAX_KEYS_REMEMBERED = 8_192
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_SECRETS = frozenset(
    {
        "apikey",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "secrets",
        "token",
    }
)
_SECRET_PAIRS = frozenset({("access", "key"), ("api", "key"), ("auth", "key"), ("private", "key")})
_HINT = re.compile(r"(?i)bearer|basic|passw|pwd|passphrase|token|secret|key")
_IN_TEXT = re.compile(
    r"(?i)\b(bearer|basic) +[a-z0-9._~+/=-]{8,}"
    r"|\b((?:[a-z0-9]+[_-])*(?:password|passwd|pwd|passphrase|token|secret|(?:api|private|access)"
    r"[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"
)
_known: dict[str, bool] = {}


def is_secret(key: str) -> bool:
    """Whether a key's value must not be seen."""
    known = _known.get(key)
    if known is None:
        words = [word.lower() for word in _WORD.findall(key)]
        known = not _SECRETS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(
            itertools.pairwise(words)
        )
        if len(_known) >= _MAX_KEYS_REMEMBERED:
            _known.clear()
        _known[key] = known
    return known


def redact_text(text: str) -> str:
    """The text without the secrets that it names, as in `password=…` or `Bearer …`."""
    if not _HINT.search(text):
        return text
    return _IN_TEXT.sub(lambda found: f"{found[1] + ' ' if found[1] else found[2]}{REDACTED}", text)


def redact(value: Any, key: str = "", depth: int = 16) -> Any:
    """A JSON-like value without its secrets; what is nested too deeply is not shown at all."""
    if key and not isinstance(value, bool) and value is not None and is_secret(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict | list | tuple) and not depth:
        return REDACTED
    if isinstance(value, dict):
        return {name: redact(inner, str(name), depth - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner, "", depth - 1) for inner in value]
    return value
