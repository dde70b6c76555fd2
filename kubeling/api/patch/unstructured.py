"""Decoding from a map instead of text, which words its errors otherwise (k8s.io/apimachinery/pkg/runtime, converter.go)."""

from __future__ import annotations

from typing import Any

from kubeling.api.meta import Object
from kubeling.api.schema import DecodeError, ObjectSchema, Shape, Type
from kubeling.api.schema.scalars import WrongType
from kubeling.api.schema.walk import Walker

_CONTAINERS = {Shape.MAP: "cannot restore map from", Shape.LIST: "cannot restore slice from"}
_OWN_DECODER = frozenset({Shape.QUANTITY, Shape.TIME, Shape.MICRO_TIME, Shape.INT_OR_STRING})
_KINDS = {"string": "string", "bool": "bool", "array": "slice", "object": "map"}
_TYPES = {"string": "string", "bool": "bool", "array": "[]interface {}", "object": "map[string]interface {}"}


def decode_unstructured(value: Any, schema: ObjectSchema) -> tuple[Object, list[str]]:
    """As ``schema.decode`` and the unknown fields; DecodeError carries the converter's text."""
    try:
        decoded = schema.decode(value)
        return decoded.obj, decoded.unknown
    except DecodeError:
        walker = _Walker()
        return walker.decode(value, schema.root), walker.unknown


class _Walker(Walker):
    def _wrong(self, error: WrongType, made: Type, struct: str, go_path: str) -> Any:
        if made.shape in _OWN_DECODER:
            return super()._wrong(error, made, "", "")
        kind = error.value.split(" ")[0]
        number = "float64" if "." in error.value else "int64"
        if made.shape is Shape.STRUCT:
            raise DecodeError(f"cannot restore struct from: {_KINDS.get(kind, number)}")
        if made.shape in _CONTAINERS:
            raise DecodeError(f"{_CONTAINERS[made.shape]} {_KINDS.get(kind, number)}")
        raise DecodeError(f"cannot convert {_TYPES.get(kind, number)} to {made.go}")
