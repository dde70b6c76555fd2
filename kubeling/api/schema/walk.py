"""The decoder that explains: one pass over a value that normalises it, collects unknown fields and words errors as Go does.

``fast`` does the same for values in which nothing is wrong; this one is the reference, and runs when ``fast`` gives up.
"""

from __future__ import annotations

from typing import Any

from kubeling.api.schema.model import Field, Presence, Shape, Type
from kubeling.api.schema.scalars import CONVERT, ZERO, BadValue, WrongType, json_kind

MAX_STRICT_ERRORS = 100


class DecodeError(Exception):
    """The value is not of the type; the text is Go's."""


def zero(made: Type) -> Any:
    """The zero value of a type as Go writes it."""
    if made.shape is not Shape.STRUCT:
        return ZERO.get(made.shape)
    result: dict[str, Any] = {}
    for name, field in made.fields.items():
        if field.presence is Presence.ALWAYS:
            result[name] = zero(field.type)
        elif field.presence is Presence.NULL:
            result[name] = None
    return result


class Walker:
    """Decodes one value. ``unknown`` collects the strict errors in the order of the input."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self._first_error = ""

    def decode(self, value: Any, made: Type) -> Any:
        """The normalised value. Raises DecodeError: the aborting error if there is one, else the first wrong type."""
        result = self._value(value, made, "", "", "")
        if self._first_error:
            raise DecodeError(self._first_error)
        return result

    def _value(self, value: Any, made: Type, struct: str, go_path: str, path: str) -> Any:
        """``go_path`` names fields alone, ``path`` also indices and map keys; ``struct`` is the struct around."""
        if value is None:
            return zero(made)
        shape = made.shape
        if shape is Shape.STRUCT and isinstance(value, dict):
            return self._struct(value, made, go_path, path)
        if shape is Shape.LIST and isinstance(value, list) and made.item is not None:
            item = made.item
            return [self._value(v, item, struct, go_path, f"{path}[{i}]") for i, v in enumerate(value)]
        if shape is Shape.MAP and isinstance(value, dict) and made.item is not None:
            item = made.item
            return {k: self._value(v, item, struct, go_path, _join(path, k)) for k, v in value.items()}
        if shape in (Shape.STRUCT, Shape.LIST, Shape.MAP):
            return self._wrong(WrongType(json_kind(value), made.go), made, struct, go_path)
        return self._scalar(value, made, struct, go_path)

    def _scalar(self, value: Any, made: Type, struct: str, go_path: str) -> Any:
        try:
            return CONVERT[made.shape](value, made)
        except WrongType as error:
            if made.shape in (Shape.TIME, Shape.MICRO_TIME, Shape.INT_OR_STRING):
                raise DecodeError(self._text(error, struct, go_path)) from None
            return self._wrong(error, made, struct, go_path)
        except BadValue as error:
            if error.abort:
                raise DecodeError(error.text) from None
            self._first_error = self._first_error or error.text
            return zero(made)

    def _wrong(self, error: WrongType, made: Type, struct: str, go_path: str) -> Any:
        self._first_error = self._first_error or self._text(error, struct, go_path)
        return zero(made)

    @staticmethod
    def _text(error: WrongType, struct: str, go_path: str) -> str:
        where = f"struct field {struct}.{go_path}" if struct else "value"
        return f"json: cannot unmarshal {error.value} into Go {where} of type {error.go_type}"

    def _struct(self, value: dict[str, Any], made: Type, go_path: str, path: str) -> dict[str, Any]:
        fields, name = made.fields, made.struct_name
        found: dict[str, Any] = {}
        for key, given in value.items():
            field = fields.get(key)
            if field is None:
                self.strict(f'unknown field "{_join(path, key)}"')
                continue
            found[key] = self._value(given, field.type, name, _join(go_path, key), _join(path, key))
            if given is None and field.presence is not Presence.ALWAYS:
                found[key] = None
        return arrange(found, fields)

    def strict(self, text: str) -> None:
        """Notes an error that strict decoding reports."""
        if len(self.unknown) < MAX_STRICT_ERRORS and text not in self.unknown:
            self.unknown.append(text)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def arrange(found: dict[str, Any], fields: Any) -> dict[str, Any]:
    """The fields of a struct as Go writes them back: in its order, zero values dropped, kept or filled in."""
    result: dict[str, Any] = {}
    for name, field in fields.items():
        if name in found:
            value = found[name]
            if not _dropped(value, field):
                result[name] = value
                continue
        if field.presence is Presence.ALWAYS:
            result[name] = zero(field.type)
        elif field.presence is Presence.NULL:
            result[name] = None
    return result


def _dropped(value: Any, field: Field) -> bool:
    if value is None:
        return True
    if field.presence is Presence.OMIT:
        return value in ("", 0) or value == [] or value == {}
    return False


def in_go_order(value: Any, made: Type) -> Any:
    """The same value written as Go writes it: fields of structs in their order, keys of maps sorted."""
    if isinstance(value, list) and made.item is not None:
        return [in_go_order(item, made.item) for item in value]
    if not isinstance(value, dict):
        return value
    if made.shape is Shape.STRUCT:
        names = [n for n in made.fields if n in value] + sorted(n for n in value if n not in made.fields)
        return {n: in_go_order(value[n], made.fields[n].type) if n in made.fields else value[n] for n in names}
    return {n: in_go_order(value[n], made.item or made) for n in sorted(value)}
