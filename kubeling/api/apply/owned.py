"""The field set of a whole value, by functions compiled once for each type: most of what a create has to work out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeling.api.apply.elements import child, deduced, elements_of, is_leaf, null_when_absent
from kubeling.api.apply.fieldset import SELF, FieldSet
from kubeling.api.schema import Shape, Type
from kubeling.api.schema.model import DEDUCED

Walk = Callable[[Any], FieldSet]
_ABSENT = object()


def everything(value: Any, made: Type) -> FieldSet:
    """The node of a value that has no counterpart: it and all below are members. Elements are in their written order."""
    return _walk_of(made)(value)


def fresh(value: Mapping[str, Any], zero: Mapping[str, Any], made: Type) -> FieldSet:
    """What ``compare`` finds added and modified in a new value of a struct or map over its type's zero value, in written order."""
    result: FieldSet = {}
    fields = made.fields
    for name in sorted(value):
        inner = value[name]
        before = zero.get(name, _ABSENT)
        if before == inner:
            continue
        found = fields.get(name)
        if before is _ABSENT and found is not None and null_when_absent(found):
            before = None
        node = _over(before, inner, found.type if found is not None else child(made, name))
        if node is not None:
            result[f"f:{name}"] = node
    return result


def _over(before: Any, value: Any, made: Type) -> FieldSet | None:
    """The node of a value over a zero one, None without any difference."""
    made = deduced(made, before, value)
    if before is _ABSENT:
        return everything(value, made)
    if is_leaf(made) or (not before and not value):
        return {} if before != value else None
    if made.shape is not Shape.LIST:
        mapped = value if isinstance(value, dict) else {}
        return fresh(mapped, before if isinstance(before, dict) else {}, made) or None
    found = elements_of(value, made) if isinstance(value, list) else []
    below: FieldSet = {}
    for element, item in sorted(found, key=_element):
        below[element] = (
            {} if element in below else everything(item, made.item or made)
        )  # a repeated one is owned as a whole
    return below or None


def _walk_of(made: Type) -> Walk:
    walk = made.walk
    if walk is None:
        walk = made.walk = _compiled(made)
    return walk


def _compiled(made: Type) -> Walk:
    if made is DEDUCED:
        return lambda value: everything(value, deduced(made, value)) if isinstance(value, dict) else {}
    if is_leaf(made):
        return _leaf
    return _list_walk(made) if made.shape is Shape.LIST else _map_walk(made)


def _leaf(value: Any) -> FieldSet:
    return {}


def _list_walk(made: Type) -> Walk:
    item_type = made.item or made

    def walk(value: Any) -> FieldSet:
        if not value or not isinstance(value, list):
            return {}
        inner = _walk_of(item_type)
        found = elements_of(value, made)
        if not found:
            return {}
        if len(found) > 1:
            found.sort(key=_element)
        below: FieldSet = {SELF: {}}
        for element, item in found:
            below[element] = inner(item)
        return below

    return walk


def _element(pair: tuple[str, Any]) -> str:
    return pair[0]


def _map_walk(made: Type) -> Walk:
    known: dict[str, tuple[str, Walk | None]] = {}
    """Of the declared fields: the element, and the walk below it where there is something to walk."""

    def learnt(name: str) -> tuple[str, Walk | None]:
        field = made.fields.get(name)
        inner = field.type if field is not None else made.item
        walk = _walk_of(inner) if inner is not None else _leaf
        pair = (f"f:{name}", None if walk is _leaf else walk)
        if field is not None:
            known[name] = pair
        return pair

    def walk(value: Any) -> FieldSet:
        if not value or not isinstance(value, dict):
            return {}
        below: FieldSet = {SELF: {}}
        for name in sorted(value):
            element, inner = known.get(name) or learnt(name)
            below[element] = inner(value[name]) if inner is not None else {}
        return below

    return walk
