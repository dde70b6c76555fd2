from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds.apiextensions.schema import validate_schema
from apiserver.kinds.apiextensions.wellformed import malformed
from kubeling.api.fields import Path


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ({"type": "object", "additionalProperties": True, "items": [{"type": "string"}]}, []),
        ({"additionalProperties": {"properties": {"a": "text"}}}, ["s.additionalProperties.properties[a]"]),
        ({"additionalProperties": "text"}, ["s.additionalProperties"]),
        ({"items": {"properties": []}}, ["s.items.properties"]),
        ({"items": {"required": [1], "maxLength": "x"}}, ["s.items.maxLength"]),
        ({"items": {"required": [1]}}, ["s.items.required[0]"]),
        ({"anyOf": [{"not": 3}]}, ["s.anyOf[0].not"]),
    ],
)
def test_what_decoding_lets_through_is_told(schema: dict[str, Any], fields: list[str]) -> None:
    assert [e.field for e in malformed(schema, Path("s"))] == fields
    if fields:
        assert [e.field for e in validate_schema(schema, Path("s"))] == fields
