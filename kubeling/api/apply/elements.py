"""Path elements of list items, and the relationships that the schema gives to lists and maps."""

from __future__ import annotations

from typing import Any

import orjson

from kubeling.api.schema import Field, Presence, Shape, Type
from kubeling.api.schema.model import DEDUCED

_OPEN = Type(Shape.ANY, go="deduced")
_DEDUCED_MAP = Type(Shape.MAP, go="deduced", item=DEDUCED, preserve=True)


class BadItem(ValueError):
    """An item of an associative list has no usable key."""


def is_leaf(made: Type) -> bool:
    """Whether values of the type are owned as a whole: scalars, opaque values and everything atomic."""
    if made.shape is Shape.LIST:
        return made.list_type == "atomic"
    return made.atomic or made.shape not in (Shape.STRUCT, Shape.MAP)


def deduced(made: Type, *values: Any) -> Type:
    """The type itself, or for what no schema describes the type that its values suggest."""
    if made is DEDUCED and any(isinstance(v, dict) for v in values):
        return _DEDUCED_MAP
    return made


def is_granular_list(made: Type) -> bool:
    return made.shape is Shape.LIST and made.list_type != "atomic"


def child(made: Type, name: str) -> Type:
    """The type of a field of a struct or a value of a map; unknown ones are opaque."""
    found = made.fields.get(name)
    if found is not None:
        return found.type
    return made.item or _OPEN


def item_element(item: Any, made: Type) -> str:
    """The path element of an item of a ``set`` or ``map`` list. Raises BadItem with upstream's text."""
    if made.list_type == "set":
        return _set_element(item)
    if item is None:
        raise BadItem("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise BadItem("associative list with keys may not have non-map elements")
    fields = made.item.fields if made.item is not None else {}
    keys: dict[str, Any] = {}
    for name in made.keys:
        if item.get(name) is not None:
            keys[name] = item[name]
        elif name in fields and fields[name].default is not None:
            keys[name] = fields[name].default
    if not keys:
        names = " ".join(f'"{name}"' for name in made.keys)
        raise BadItem(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _set_element(item: Any) -> str:
    if isinstance(item, dict):
        raise BadItem("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise BadItem("not supported: associative list with lists as elements")
    if item is None:
        raise BadItem("associative list without keys has an element that's an explicit null")
    return "v:" + orjson.dumps(item).decode()


def elements_of(items: list[Any], made: Type) -> list[tuple[str, Any]]:
    """Items with their elements; those without a usable key are left out (stored objects may hold them)."""
    found = []
    for item in items:
        try:
            found.append((item_element(item, made), item))
        except BadItem:
            continue
    return found


def null_when_absent(field: Field) -> bool:
    """Whether Go writes null for the absent field: it has no ``omitempty`` and is a list, map or pointer."""
    if field.presence is Presence.NULL:
        return True
    return (
        field.presence is Presence.KEEP and field.required and field.type.shape in (Shape.LIST, Shape.MAP, Shape.STRUCT)
    )
