"""Takes secrets out of attributes before they are recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[REDACTED]"
MAX_TEXT = 8_192
"""Longer texts are cut: an attribute is no place for a document."""

_SECRET_KEY = re.compile(
    r"(?i)(^|[._-])(password|passwd|secret|api_?key|authorization|access_?token|auth_?token|token)$"
)


def clean(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with the values of secret-looking keys replaced, and long texts cut."""
    return {key: _value(key, value) for key, value in attributes.items()}


def _value(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key):
        return REDACTED
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
