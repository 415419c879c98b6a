from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.contract import document, normal
from tests.contract.notation import schema_of

VENDORS = os.environ.get("TESTERARMY_OPENAPI", "")
OURS = normal.operations(document.openapi())
THEIRS = normal.operations(json.loads(Path(VENDORS).read_text())) if VENDORS else {}
PUBLISHED = {
    f"{each.method} {document.PREFIX}{each.path}" for each in document.calls().values() if each.published
}


if VENDORS:

    @pytest.mark.parametrize("operation", sorted(THEIRS))
    def test_the_vendors_document_says_the_same(operation):
        """Path, method, parameters, fields, types, words and bounds."""
        assert OURS[operation] == THEIRS[operation]


def test_every_operation_of_the_vendor_is_described():
    """41 operations are in its document, and one more is on its reference pages."""
    assert len(PUBLISHED) == 41
    assert set(OURS) - PUBLISHED == {"POST /v1/runs"}
    assert not VENDORS or set(THEIRS) == PUBLISHED


def test_no_shape_is_unused():
    """A shape that nothing refers to would never be compared."""
    text = json.dumps(document.openapi())
    assert [name for name in document.shapes() if f'schemas/{name}"' not in text] == []


@pytest.mark.parametrize(
    ("node", "schema"),
    [
        ("text", {"type": "string"}),
        ("text 1..255", {"type": "string", "minLength": 1, "maxLength": 255}),
        ("text ..9 | null", {"type": "string", "maxLength": 9, "nullable": True}),
        ("text ^(?:a|b)$", {"type": "string", "pattern": "^(?:a|b)$"}),
        ("time | null", {"type": "string", "format": "date-time", "nullable": True}),
        ("integer 60..", {"type": "integer", "minimum": 60}),
        ("web | mobile", {"type": "string", "enum": ["web", "mobile"]}),
        ("queued", {"type": "string", "enum": ["queued"]}),
        (True, {"type": "boolean", "enum": [True]}),
        (
            ["Run", "1..5"],
            {"type": "array", "items": {"$ref": "#/components/schemas/Run"}, "minItems": 1, "maxItems": 5},
        ),
        (
            {"a": "uuid", "b?": "uri", "$closed": True},
            {
                "type": "object",
                "properties": {
                    "a": {"type": "string", "format": "uuid"},
                    "b": {"type": "string", "format": "uri"},
                },
                "required": ["a"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_the_notation(node, schema):
    """Each word of it has one meaning."""
    assert schema_of(node) == schema


def test_a_wrong_range_is_refused():
    """A typing error must not remove a bound."""
    with pytest.raises(ValueError, match="not a range"):
        schema_of("text 1-255")
