from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.telemetry.encode import (
    MAX_ATTRIBUTES,
    MAX_JSON,
    MAX_NAME,
    MAX_TEXT,
    attributes_json,
    clean,
    events_json,
    foreign_row,
)
from engine.telemetry.redact import REDACTED, is_secret, redact_text

HEAD = (1, 2, 3, 0, 10, 20, 1, 0)
TAIL = ("[]", "", "", 0)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), anything, max_size=5))
def test_any_attributes_become_json_that_utf8_and_sqlite_can_carry(value: dict[str, Any]) -> None:
    text = attributes_json(value)
    text.encode()
    parsed = json.loads(text, parse_constant=pytest.fail)
    assert set(parsed) <= set(value)


@given(st.text(), st.text())
def test_any_row_from_elsewhere_becomes_safe(attributes: str, events: str) -> None:
    row = foreign_row((*HEAD, "n", "worker", "s", "m", "c", "x", "p", attributes, events, *TAIL))
    assert isinstance(json.loads(row[15]), dict)
    assert isinstance(json.loads(row[16]), list)
    assert len(row) == 21


@pytest.mark.parametrize("text", ["[]", "1", "null", "{", '"x"', "[[]]", "NaN"])
def test_malformed_attributes_say_so(text: str) -> None:
    row = foreign_row((*HEAD, *"abcdefg", text, "[]", *TAIL))
    assert "citadel.malformed" in json.loads(row[15])


def test_a_foreign_spans_secrets_leave_too() -> None:
    events = json.dumps([{"name": "login", "time_ns": 5, "attributes": {"password": "hush"}}])
    row = foreign_row((*HEAD, *"abcdefg", '{"api_key": "hush", "n": 1}', events, *TAIL))
    assert "hush" not in "".join(map(str, row))
    assert json.loads(row[15]) == {"api_key": REDACTED, "n": 1}
    assert json.loads(row[16])[0]["time_ns"] == 5


SECRET_KEYS = """
    password db.password user_password PASSWORD token access_token authToken clientSecret apiKey
    api_key x-api-key Authorization http.request.header.authorization aws_secret_access_key
    private_key Cookie credentials
"""
INNOCENT_KEYS = """
    gen_ai.usage.input_tokens code_tokens max_tokens tokenizer keyboard key monkey secretary
    passwordless path author name
"""


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_secret_keys(key: str) -> None:
    assert is_secret(key)
    assert json.loads(attributes_json({key: "hush"})) == {key: REDACTED}
    assert json.loads(attributes_json({"outer": {key: ["hush"]}})) == {"outer": {key: REDACTED}}


@pytest.mark.parametrize("key", INNOCENT_KEYS.split())
def test_innocent_keys(key: str) -> None:
    assert not is_secret(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hush now", f"password={REDACTED} now"),
        ("Authorization: Bearer abcdefghij.klm", f"Authorization: Bearer {REDACTED}"),
        ('{"api_key": "hush"}', f'{{"api_key": "{REDACTED}"}}'),
        ("https://host/?access_token=hush&x=1", f"https://host/?access_token={REDACTED}&x=1"),
        ("the token was refused", "the token was refused"),
        ("12 tokens: fine", "12 tokens: fine"),
    ],
)
def test_secrets_inside_texts(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_limits_are_told() -> None:
    long = json.loads(attributes_json({"text": "x" * 1_000_000}))["text"]
    assert len(long) == MAX_TEXT + 1
    assert long.endswith("…")
    many = json.loads(attributes_json({f"k{i}": i for i in range(200)}))
    assert many.pop("citadel.dropped_attributes") == 200 - MAX_ATTRIBUTES
    assert len(many) == MAX_ATTRIBUTES
    much = attributes_json({f"k{i}": "x" * MAX_TEXT for i in range(20)})
    assert len(much) < MAX_JSON
    assert "20 attributes" in json.loads(much)["citadel.truncated"]
    events = [("e", i, {"text": "x" * MAX_TEXT}) for i in range(20)]
    assert "20 events" in json.loads(events_json(events))[0]["attributes"]["citadel.truncated"]


def test_numbers_that_json_has_not_are_texts() -> None:
    assert json.loads(attributes_json({"a": math.nan, "b": math.inf})) == {"a": "nan", "b": "inf"}


def test_what_nests_without_end_ends() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    json.loads(attributes_json(loop))


@given(st.text(st.characters(), max_size=600))
def test_names_are_short_and_utf8(name: str) -> None:
    assert len(clean(name)) <= MAX_NAME
    clean(name + "\ud800").encode()
