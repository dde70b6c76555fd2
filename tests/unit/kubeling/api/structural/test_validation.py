"""Values against OpenAPI schemas: upstream's errors."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.structural.validation import compile_schema, validate

INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def _said(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {"type": "object", "properties": {"f": schema}}
    return [str(error) for error in validate(compile_schema(whole), {"f": value})]


@pytest.mark.parametrize(
    ("schema", "value", "texts"),
    [
        (INTEGER, 1, []),
        (INTEGER, 2.0, []),
        (INTEGER, "x", ['f: Invalid value: "string": f in body must be of type integer: "string"']),
        (INTEGER, None, ['f: Invalid value: "null": f in body must be of type integer: "null"']),
        ({**INTEGER, "nullable": True}, None, []),
        (
            INTEGER,
            1.5,
            [
                'f: Invalid value: "number": f in body must be of type integer: "number"',
                '<nil>: Invalid value: "": Checked value must be of type integer (default format) in f',
            ],
        ),
        (
            {**INTEGER, "format": "int32"},
            1 << 40,
            ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in f'],
        ),
        ({"type": "number"}, 3, []),
        (STRING, 3, ['f: Invalid value: "integer": f in body must be of type string: "integer"']),
        ({"x-kubernetes-int-or-string": True}, "a", []),
        ({"x-kubernetes-int-or-string": True}, 1, []),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            ['f: Invalid value: "boolean": f in body must be of type integer,string: "boolean"'],
        ),
        ({**INTEGER, "minimum": 1}, 0, ["f: Invalid value: 0: f in body should be greater than or equal to 1"]),
        (
            {**INTEGER, "minimum": 1, "exclusiveMinimum": True},
            1,
            ["f: Invalid value: 1: f in body should be greater than 1"],
        ),
        ({**INTEGER, "maximum": 3}, 4, ["f: Invalid value: 4: f in body should be less than or equal to 3"]),
        ({"type": "number", "multipleOf": 0.5}, 0.7, ["f: Invalid value: 0.7: f in body should be a multiple of 0.5"]),
        ({"type": "number", "multipleOf": 0.1}, 0.3, []),
        ({**STRING, "maxLength": 2}, "abc", ["f: Too long: may not be more than 2 bytes"]),
        ({**STRING, "minLength": 2}, "a", ['f: Invalid value: "a": f in body should be at least 2 chars long']),
        ({**STRING, "pattern": "^a"}, "b", ["f: Invalid value: \"b\": f in body should match '^a'"]),
        ({**STRING, "enum": ["x", "y"]}, "z", ['f: Unsupported value: "z": supported values: "x", "y"']),
        (
            {**STRING, "format": "date-time"},
            "yesterday",
            ['f: Invalid value: "yesterday": f in body must be of type date-time: "yesterday"'],
        ),
        ({**STRING, "format": "date-time"}, "2024-01-01T00:00:00Z", []),
        ({**STRING, "format": "made-up"}, "anything", []),
        ({"type": "array", "items": INTEGER}, [1, "a"], None),
        ({"type": "array", "maxItems": 1}, [1, 2], ["f: Too many: 2: must have at most 1 item"]),
        ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}, ["f: Too many: 2: must have at most 1 item"]),
        ({"type": "object", "required": ["a"]}, {}, ["f.a: Required value"]),
        (
            {"type": "object", "additionalProperties": INTEGER},
            {"k": "v"},
            ['f.k: Invalid value: "string": f.k in body must be of type integer: "string"'],
        ),
        (
            {"not": {"required": ["a"]}, "type": "object"},
            {"a": 1},
            ['<nil>: Invalid value: "": "f" must not validate the schema (not)'],
        ),
        (
            {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"},
            {},
            ['<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)', "f.a: Required value"],
        ),
        (
            {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"},
            {"a": 1, "b": 1},
            ['<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
        ),
        (
            {"allOf": [{"required": ["a"]}], "type": "object"},
            {},
            [
                "f.a: Required value",
                '<nil>: Invalid value: "": "f" must validate all the schemas (allOf). None validated',
            ],
        ),
    ],
)
def test_errors(schema: dict[str, Any], value: Any, texts: list[str] | None) -> None:
    if texts is None:
        texts = ['f[1]: Invalid value: "string": f[1] in body must be of type integer: "string"']
    assert _said(schema, value) == texts
