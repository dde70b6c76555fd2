"""OpenAPI v2 in the protobuf form that kubectl and client-go ask for (gnostic's openapi.v2.Document).

A message is a table of its fields: JSON name to field number and type. What a table does not name and starts with ``x-`` goes into
the message's extensions, as YAML text. Source of the numbers: google/gnostic, openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kubeling.api.protobuf.wire import block, boolean

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ACCEPTED = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")

Encode = Callable[[Any], bytes]
Fields = Mapping[str, tuple[int, Callable[[int, Any], bytes]]]


def _string(number: int, value: Any) -> bytes:
    return block(number, str(value).encode())


def _strings(number: int, value: Any) -> bytes:
    return b"".join(_string(number, v) for v in value)


def _message(encode: Encode) -> Callable[[int, Any], bytes]:
    return lambda number, value: block(number, encode(value))


def _messages(encode: Encode) -> Callable[[int, Any], bytes]:
    return lambda number, value: b"".join(block(number, encode(v)) for v in value)


def _named(encode: Encode, value: Mapping[str, Any], number: int = 1) -> bytes:
    """A map as a list of ``{name = 1, value = 2}``."""
    return b"".join(block(number, _string(1, k) + block(2, encode(v))) for k, v in value.items())


def _any(value: Any) -> bytes:
    return _string(2, orjson.dumps(value).decode() + "\n")


def _encode(fields: Fields, extensions: int, value: Mapping[str, Any]) -> bytes:
    out = []
    for name, inner in value.items():
        known = fields.get(name)
        if known is not None:
            out.append(known[1](known[0], inner))
        elif name.startswith("x-"):
            out.append(block(extensions, _string(1, name) + block(2, _any(inner))))
    return b"".join(out)


def _schema(value: Any) -> bytes:
    return _encode(_SCHEMA, 31, value)


def _additional(value: Any) -> bytes:
    return boolean(2, value) if isinstance(value, bool) else block(1, _schema(value))


def _types(value: Any) -> bytes:
    return _strings(1, value if isinstance(value, list) else [value])


_SCHEMA: Fields = {
    "$ref": (1, _string),
    "format": (2, _string),
    "title": (3, _string),
    "description": (4, _string),
    "default": (5, _message(_any)),
    "pattern": (13, _string),
    "uniqueItems": (16, boolean),
    "required": (19, _strings),
    "enum": (20, _messages(_any)),
    "additionalProperties": (21, _message(_additional)),
    "type": (22, _message(_types)),
    "items": (23, _message(lambda value: block(1, _schema(value)))),
    "properties": (25, _message(lambda value: _named(_schema, value))),
}
_BODY: Fields = {
    "description": (1, _string),
    "name": (2, _string),
    "in": (3, _string),
    "required": (4, boolean),
    "schema": (5, _message(_schema)),
}
_QUERY: Fields = {
    "required": (1, boolean),
    "in": (2, _string),
    "description": (3, _string),
    "name": (4, _string),
    "type": (6, _string),
    "uniqueItems": (20, boolean),
}
_PATH: Fields = {
    "required": (1, boolean),
    "in": (2, _string),
    "description": (3, _string),
    "name": (4, _string),
    "type": (5, _string),
    "uniqueItems": (19, boolean),
}


def _parameter(value: Any) -> bytes:
    """Body, query and path parameters are messages of their own, three deep in choices."""
    if value["in"] == "body":
        chosen = block(1, _encode(_BODY, 6, value))
    elif value["in"] == "query":
        chosen = block(2, block(3, _encode(_QUERY, 23, value)))
    else:
        chosen = block(2, block(4, _encode(_PATH, 22, value)))
    return block(1, chosen)


_RESPONSE: Fields = {
    "description": (1, _string),
    "schema": (2, _message(lambda value: block(1, _schema(value)))),
}


def _response(value: Any) -> bytes:
    return block(1, _encode(_RESPONSE, 5, value))


_OPERATION: Fields = {
    "tags": (1, _strings),
    "description": (3, _string),
    "operationId": (5, _string),
    "produces": (6, _strings),
    "consumes": (7, _strings),
    "parameters": (8, _messages(_parameter)),
    "responses": (9, _message(lambda value: _named(_response, value))),
    "schemes": (10, _strings),
}


def _operation(value: Any) -> bytes:
    return _encode(_OPERATION, 13, value)


_PATH_ITEM: Fields = {
    "get": (2, _message(_operation)),
    "put": (3, _message(_operation)),
    "post": (4, _message(_operation)),
    "delete": (5, _message(_operation)),
    "options": (6, _message(_operation)),
    "head": (7, _message(_operation)),
    "patch": (8, _message(_operation)),
    "parameters": (9, _messages(_parameter)),
}
_INFO: Fields = {"title": (1, _string), "version": (2, _string)}
_DOCUMENT: Fields = {
    "swagger": (1, _string),
    "info": (2, _message(lambda value: _encode(_INFO, 7, value))),
    "paths": (8, _message(lambda value: _named(lambda item: _encode(_PATH_ITEM, 10, item), value, 2))),
    "definitions": (9, _message(lambda value: _named(_schema, value))),
}


def encode_v2(document: Mapping[str, Any]) -> bytes:
    """An OpenAPI v2 document as protobuf; security definitions are left out."""
    return _encode(_DOCUMENT, 16, document)
