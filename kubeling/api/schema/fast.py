"""The decoder for values in which nothing is wrong: a type tree compiled to a pydantic-core validator.

One pass in Rust checks types, drops what Go drops, fills in what Go fills in and writes the fields in Go's order. It gives
up (ValidationError) on anything unusual: unknown fields, wrong types, nulls in lists; then ``walk`` decodes and explains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import PydanticOmit, SchemaValidator, ValidationError, core_schema
from pydantic_core import core_schema as cs

from kubeling.api.schema.model import Field, Presence, Shape, Type
from kubeling.api.schema.scalars import CONVERT, BadValue, WrongType
from kubeling.api.schema.walk import zero

__all__ = ["ValidationError", "compile_type"]

_CANONICAL_TIME = r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$"
_CANONICAL_QUANTITY = r"^(?:0|[1-9]\d{0,2}[mkMGT]?|[1-9]\d{0,2}[KMGT]i)$"


def compile_type(made: Type) -> SchemaValidator:
    """A validator for a struct. Structs that occur more than once are compiled once."""
    compiler = _Compiler()
    root = compiler.schema(made)
    return SchemaValidator(cs.definitions_schema(root, list(compiler.definitions.values())))


def _omit_null(value: Any) -> Any:
    if value is None:
        raise PydanticOmit
    raise ValueError


def _omit_zero(kind: type, empty: Any) -> core_schema.CoreSchema:
    """Takes null and the zero value (of exactly this type) by leaving the field out."""

    def check(value: Any) -> Any:
        if value is None or (value.__class__ is kind and value == empty):
            raise PydanticOmit
        raise ValueError

    return cs.no_info_plain_validator_function(check)


_OMIT_NULL = cs.no_info_plain_validator_function(_omit_null)
_OMIT_ZERO = {
    Shape.LIST: _omit_zero(list, []),
    Shape.MAP: _omit_zero(dict, {}),
    Shape.BOOLEAN: _omit_zero(bool, False),
    Shape.INTEGER: _omit_zero(int, 0),
    Shape.NUMBER: _omit_zero(int, 0),
    Shape.STRING: _omit_zero(str, ""),
    Shape.BYTES: _omit_zero(str, ""),
}


def _converter(made: Type) -> Callable[[Any], Any]:
    convert = CONVERT[made.shape]

    def run(value: Any) -> Any:
        if value is None:
            raise ValueError
        try:
            return convert(value, made)
        except (WrongType, BadValue):
            raise ValueError from None

    return run


def _maker(made: Type, empty: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    if any(isinstance(value, dict) for value in empty.values()):
        return lambda: zero(made)
    return empty.copy


_ANYTHING = cs.union_schema(  # but null, which is dropped or filled in
    [
        cs.dict_schema(strict=True),
        cs.list_schema(strict=True),
        cs.str_schema(strict=True),
        cs.bool_schema(strict=True),
        cs.int_schema(strict=True),
        cs.float_schema(strict=True),
    ],
    mode="left_to_right",
)


class _Compiler:
    def __init__(self) -> None:
        self.definitions: dict[int, core_schema.CoreSchema] = {}
        self._open: set[int] = set()

    def schema(self, made: Type) -> core_schema.CoreSchema:
        """The schema of a value that is there and not null."""
        if made.shape is Shape.STRUCT:
            return self._struct(made)
        if made.shape is Shape.LIST and made.item is not None:
            return cs.list_schema(self.schema(made.item), strict=True)
        if made.shape is Shape.MAP and made.item is not None:
            return cs.dict_schema(cs.str_schema(strict=True), self.schema(made.item), strict=True)
        return _scalar(made, omit_zero=False)

    def _struct(self, made: Type) -> core_schema.CoreSchema:
        key = id(made)
        reference = f"t{key}"
        if key not in self.definitions and key not in self._open:
            self._open.add(key)
            fields = {name: self._field(field) for name, field in made.fields.items()}
            self.definitions[key] = cs.typed_dict_schema(
                fields, strict=True, total=False, extra_behavior="forbid", ref=reference
            )
        return cs.definition_reference_schema(reference)

    def _field(self, field: Field) -> core_schema.TypedDictField:
        made, presence = field.type, field.presence
        if presence is Presence.OMIT:
            return cs.typed_dict_field(self._dropping_zero(made), required=False)
        if presence is Presence.KEEP:
            return cs.typed_dict_field(_either(self.schema(made), _OMIT_NULL), required=False)
        empty = zero(made) if presence is Presence.ALWAYS else None
        schema = cs.nullable_schema(self.schema(made)) if presence is Presence.NULL else self.schema(made)
        if isinstance(empty, dict):
            defaulted = cs.with_default_schema(schema, default_factory=_maker(made, empty))
        else:
            defaulted = cs.with_default_schema(schema, default=empty)
        return cs.typed_dict_field(defaulted, required=False)

    def _dropping_zero(self, made: Type) -> core_schema.CoreSchema:
        if made.shape is Shape.LIST and made.item is not None:
            filled: core_schema.CoreSchema = cs.list_schema(self.schema(made.item), min_length=1, strict=True)
        elif made.shape is Shape.MAP and made.item is not None:
            keys = cs.str_schema(strict=True)
            filled = cs.dict_schema(keys, self.schema(made.item), min_length=1, strict=True)
        else:
            filled = _scalar(made, omit_zero=True)
        return _either(filled, _OMIT_ZERO[made.shape])


def _either(first: core_schema.CoreSchema, second: core_schema.CoreSchema) -> core_schema.CoreSchema:
    return cs.union_schema([first, second], mode="left_to_right")


def _scalar(made: Type, *, omit_zero: bool) -> core_schema.CoreSchema:
    shape = made.shape
    if shape is Shape.ANY:
        return _ANYTHING
    if shape is Shape.STRING:
        return cs.str_schema(strict=True, min_length=1 if omit_zero else None)
    if shape is Shape.BOOLEAN:
        return cs.literal_schema([True]) if omit_zero else cs.bool_schema(strict=True)
    if shape is Shape.INTEGER:
        limit = 1 << (made.bits - 1)
        integer = cs.int_schema(strict=True, ge=-limit, le=limit - 1)
        return _nonzero(integer) if omit_zero else integer
    if shape is Shape.INT_OR_STRING:
        return cs.union_schema(
            [cs.int_schema(strict=True, ge=-(1 << 31), le=(1 << 31) - 1), cs.str_schema(strict=True)]
        )
    exact = cs.no_info_plain_validator_function(_converter(made))
    if shape is Shape.QUANTITY:
        return _either(cs.str_schema(strict=True, pattern=_CANONICAL_QUANTITY), exact)
    if shape is Shape.TIME:
        return _either(cs.str_schema(strict=True, pattern=_CANONICAL_TIME), exact)
    return exact


def _nonzero(integer: core_schema.IntSchema) -> core_schema.CoreSchema:
    """An integer other than zero, positive ones first."""
    limit = integer["le"]
    return cs.union_schema(
        [cs.int_schema(strict=True, ge=1, le=limit), cs.int_schema(strict=True, ge=-limit - 1, le=-1)],
        mode="left_to_right",
    )
