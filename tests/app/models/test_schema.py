"""Forms come from JSON Schemas."""

import json

from app.models.schema import fields


def test_properties_become_fields() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "where", "default": ""},
            "rate": {"type": "number", "minimum": 0, "default": 0},
            "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "loop": {"type": "boolean", "default": False},
            "how": {"enum": ["fast", "slow"]},
        },
        "required": ["path"],
    }
    found = {field.name: field for field in fields(json.dumps(schema))}
    assert [field.kind for field in found.values()] == [
        "text",
        "number",
        "integer",
        "boolean",
        "choice",
    ]
    assert found["path"].required
    assert found["rate"].minimum == 0
    assert found["how"].choices == ("fast", "slow")


def test_what_is_no_schema_has_no_fields() -> None:
    for text in ("", "[]", "{", "{}", '"x"'):
        assert fields(text) == []
