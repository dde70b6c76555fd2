"""Which fields an object has, and how two objects differ, as field sets (structured-merge-diff, typed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeling.api.apply.elements import child, deduced, elements_of, is_granular_list, is_leaf, null_when_absent
from kubeling.api.apply.fieldset import SELF, FieldSet, union, without_below
from kubeling.api.apply.owned import everything
from kubeling.api.schema import Shape, Type

_ABSENT = object()


@dataclass(slots=True)
class Comparison:
    """Paths that a change added, modified and removed."""

    added: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    removed: FieldSet = field(default_factory=dict)

    @property
    def same(self) -> bool:
        return not (self.added or self.modified or self.removed)

    @property
    def taken(self) -> FieldSet:
        """Paths that whoever made the change now owns."""
        return union(self.added, self.modified)

    def without(self, ignored: FieldSet) -> Comparison:
        """The comparison with ignored fields, and all below them, left out."""
        if not ignored:
            return self
        return Comparison(*(without_below(s, ignored) for s in (self.added, self.modified, self.removed)))


def field_set(value: Any, made: Type) -> FieldSet:
    """The paths that a configuration of this value sets."""
    return _set_below(value, made)


def _set_below(value: Any, made: Type) -> FieldSet:
    """The node's children; whether the node itself is a member is its parent's to say."""
    made = deduced(made, value)
    if value is None or is_leaf(made):
        return {}
    result: FieldSet = {}
    if made.shape is Shape.LIST:
        for element, item in elements_of(value, made) if isinstance(value, list) else ():
            below = _set_below(item, made.item or made)
            result[element] = {SELF: {}, **below} if below else {}
        return result
    for name, inner in value.items() if isinstance(value, dict) else ():
        inner_type = deduced(child(made, name), inner)
        below = _set_below(inner, inner_type)
        declared = name in made.fields
        if below:
            result[f"f:{name}"] = below if declared else {SELF: {}, **below}
        elif is_leaf(inner_type) or inner is None or inner == {} or not declared:
            result[f"f:{name}"] = {}
    return result


def compare(old: Mapping[str, Any], new: Mapping[str, Any], made: Type) -> Comparison:
    """How ``new`` differs from ``old``, two values of a struct type."""
    result = Comparison()
    _compare_maps(old, new, made, result)
    return result


def _compare_maps(old: Any, new: Any, made: Type, result: Comparison) -> None:
    fields = made.fields
    for name, inner in new.items():
        before = old.get(name, _ABSENT)
        if before is inner or (before == inner and before is not _ABSENT):
            continue
        found = fields.get(name)
        if before is _ABSENT and found is not None and null_when_absent(found):
            before = None
        _compare(f"f:{name}", before, inner, found.type if found is not None else child(made, name), result)
    for name, before in old.items():
        if name not in new:
            found = fields.get(name)
            after = None if found is not None and null_when_absent(found) else _ABSENT
            _compare(f"f:{name}", before, after, found.type if found is not None else child(made, name), result)


def _compare(element: str, old: Any, new: Any, made: Type, result: Comparison) -> None:
    """Notes how the value under ``element`` differs; at most one side is absent."""
    made = deduced(made, old, new)
    if old is _ABSENT:
        result.added[element] = everything(new, made)
    elif new is _ABSENT:
        result.removed[element] = everything(old, made)
    elif is_leaf(made) or (not old and not new):
        if old != new:
            result.modified[element] = {}
    else:
        below = Comparison()
        if made.shape is Shape.LIST:
            _compare_lists(_listed(old), _listed(new), made, below)
        else:
            _compare_maps(_mapped(old), _mapped(new), made, below)
        for mine, theirs in (
            (result.added, below.added),
            (result.modified, below.modified),
            (result.removed, below.removed),
        ):
            if theirs:
                mine[element] = theirs


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _compare_lists(old: list[Any], new: list[Any], made: Type, result: Comparison) -> None:
    before, after = _grouped(old, made), _grouped(new, made)
    item_type = made.item or made
    for element in before | after:
        left, right = before.get(element, []), after.get(element, [])
        if len(left) <= 1 and len(right) <= 1:
            _compare(element, left[0] if left else _ABSENT, right[0] if right else _ABSENT, item_type, result)
        elif not left:
            result.added[element] = {}
        elif not right:
            result.removed[element] = {}
        elif left != right:
            result.modified[element] = {}


def _grouped(items: list[Any], made: Type) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for element, item in elements_of(items, made):
        groups.setdefault(element, []).append(item)
    return groups


def with_named_fields(fields: FieldSet, made: Type) -> FieldSet:
    """The set with every declared field on the way to a member made a member too."""
    result: FieldSet = {}
    for element, node in fields.items():
        if element == SELF or not node:
            result[element] = node
            continue
        name = element[2:] if element.startswith("f:") else None
        if name is not None:
            inner = child(made, name)
        else:
            inner = (made.item or made) if is_granular_list(made) else made
        below = with_named_fields(node, inner)
        result[element] = {SELF: {}, **below} if name is not None and name in made.fields else below
    return result
