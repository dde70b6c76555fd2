"""OpenAPI v2 as protobuf: read back field by field."""

from __future__ import annotations

from typing import Any

from apiserver.openapi.protobuf import encode_v2

DOCUMENT: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Kubernetes", "version": "v1"},
    "paths": {
        "/api": {
            "get": {
                "operationId": "listThings",
                "parameters": [{"name": "limit", "in": "query", "type": "integer", "uniqueItems": True}],
                "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Thing"}}},
                "x-kubernetes-action": "list",
            },
            "parameters": [{"name": "name", "in": "path", "type": "string", "required": True}],
        }
    },
    "definitions": {
        "Thing": {
            "type": "object",
            "required": ["a", "b"],
            "properties": {
                "a": {"type": "array", "items": {"type": "string"}},
                "m": {"additionalProperties": {"type": "string"}},
            },
        }
    },
}


def read(data: bytes) -> list[tuple[int, Any]]:
    """Field numbers and values of a message; lengths and varints only."""
    found: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            found.append((key >> 3, varint()))
        else:
            length = varint()
            found.append((key >> 3, data[at : at + length]))
            at += length
    return found


def inside(data: bytes, *numbers: int) -> Any:
    """The value under nested field numbers, the first of each."""
    value: Any = data
    for number in numbers:
        value = dict(reversed(read(value)))[number]
    return value


def test_a_document_can_be_read_back() -> None:
    data = encode_v2(DOCUMENT)
    assert inside(data, 1) == b"2.0"
    assert inside(data, 2, 1) == b"Kubernetes"
    assert inside(data, 9, 1, 1) == b"Thing"
    thing = inside(data, 9, 1, 2)
    assert [value for number, value in read(thing) if number == 19] == [b"a", b"b"]
    assert inside(thing, 22, 1) == b"object"
    assert inside(thing, 25, 1, 1) == b"a"
    assert inside(thing, 25, 1, 2, 23, 1, 22, 1) == b"string"
    get = inside(data, 8, 2, 2, 2)
    assert inside(get, 5) == b"listThings"
    assert inside(get, 8, 1, 2, 3, 4) == b"limit"
    assert inside(get, 8, 1, 2, 3, 20) == 1
    assert inside(get, 9, 1, 2, 1, 2, 1, 1) == b"#/definitions/Thing"
    assert (inside(get, 13, 1), inside(get, 13, 2, 2)) == (b"x-kubernetes-action", b'"list"\n')
    assert inside(data, 8, 2, 2, 9, 1, 2, 4, 4) == b"name"
