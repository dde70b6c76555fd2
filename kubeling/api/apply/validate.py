"""Whether an applied configuration fits its type, with structured-merge-diff's texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubeling.api.apply.elements import BadItem, item_element
from kubeling.api.apply.fieldset import path_text
from kubeling.api.patch.goformat import go_format
from kubeling.api.schema import Shape, Type

_NUMERIC = frozenset({Shape.INTEGER, Shape.NUMBER})
_STRINGS = frozenset({Shape.STRING, Shape.BYTES})
_UNTYPED = frozenset({Shape.QUANTITY, Shape.TIME, Shape.MICRO_TIME, Shape.INT_OR_STRING})


def validate(value: Any, made: Type) -> str:
    """What is wrong, as upstream prints it (several errors on lines of their own); empty when nothing is."""
    found = list(_errors(value, made, ""))
    if len(found) > 1:
        return "\n".join(["errors:", *(f"  {text}" for text in found)])
    return found[0] if found else ""


def _errors(value: Any, made: Type, path: str) -> Iterator[str]:
    if value is None or made.shape is Shape.ANY:
        return
    prefix = f"{path}: " if path else ""
    if made.shape in (Shape.STRUCT, Shape.MAP):
        if isinstance(value, dict):
            yield from _map_errors(value, made, path)
        else:
            yield f"{prefix}expected map, got &{{{go_format(value)}}}"
    elif made.shape is Shape.LIST:
        if isinstance(value, list):
            yield from _list_errors(value, made, path)
        else:
            yield f"{prefix}expected list, got &{{{go_format(value)}}}"
    else:
        wrong = _scalar_error(value, made.shape)
        if wrong:
            yield prefix + wrong


def _map_errors(value: dict[str, Any], made: Type, path: str) -> Iterator[str]:
    for name, inner in value.items():
        found = made.fields.get(name)
        inner_type = found.type if found is not None else made.item
        if inner_type is None:
            if made.preserve:
                continue
            yield f"{path}.{name}: field not declared in schema"
            return
        yield from _errors(inner, inner_type, f"{path}.{name}")


def _list_errors(value: list[Any], made: Type, path: str) -> Iterator[str]:
    seen: set[str] = set()
    prefix = f"{path}: " if path else ""
    for index, item in enumerate(value):
        if made.list_type == "atomic":
            where = f"[{index}]"
        else:
            try:
                element = item_element(item, made)
            except BadItem as error:
                yield f"{prefix}element {index}: {error}"
                return
            where = path_text(element)
            if element in seen:
                yield f"{prefix}duplicate entries for key {where}"
                continue
            seen.add(element)
        yield from _errors(item, made.item or made, path + where)


def _scalar_error(value: Any, shape: Shape) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if shape in _NUMERIC:
        return "" if is_number else f"expected numeric (int or float), got {_go_type(value)}"
    if shape in _STRINGS:
        return (
            ""
            if isinstance(value, str)
            else f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
        )
    if shape is Shape.BOOLEAN:
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_format(value)}}}"
    if shape in _UNTYPED and not isinstance(value, str | int | float | bool):
        return f"expected any scalar, got &{{{go_format(value)}}}"
    return ""


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "string"


def _go_syntax(value: Any) -> str:
    """A value as Go source (``%#v``)."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(k)}:{_go_syntax(value[k])}" for k in sorted(value))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(_go_syntax, value)) + "}"
    return go_format(value)
