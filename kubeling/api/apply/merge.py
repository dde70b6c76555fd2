"""Merging a configuration into an object, and removing fields from one (structured-merge-diff, typed)."""

from __future__ import annotations

from typing import Any

from kubeling.api.apply.elements import child, deduced, elements_of, is_leaf
from kubeling.api.apply.fieldset import SELF, FieldSet
from kubeling.api.schema import Shape, Type


def merge(live: Any, config: Any, made: Type) -> Any:
    """``live`` with what ``config`` says laid over it: maps and associative lists are merged, all else is replaced."""
    if config is None:
        return live
    made = deduced(made, config)
    if live is None or not live or not config:
        return config if config or not live or is_leaf(made) else live
    if is_leaf(made):
        return config
    if made.shape is Shape.LIST:
        return _merge_lists(live, config, made) if isinstance(live, list) and isinstance(config, list) else config
    if not isinstance(live, dict) or not isinstance(config, dict):
        return config
    merged = dict(live)
    for name, value in config.items():
        merged[name] = _merge_field(live, name, value, child(made, name))
    return merged


def _merge_field(live: dict[str, Any], name: str, value: Any, made: Type) -> Any:
    """A field that the configuration names; an explicit null replaces a scalar and leaves the rest."""
    if value is None:
        return None if is_leaf(made) else live.get(name)
    return merge(live.get(name), value, made)


class _ListMerge:
    """Merges two associative lists: items of the configuration keep its order, others the place they had on the server.

    Where both lists share items, those follow the configuration's order, and the server's own items stay ahead of the
    shared item before which they stood.
    """

    def __init__(self, live: list[Any], config: list[Any], made: Type) -> None:
        self.item_type = made.item or made
        self.left = elements_of(live, made)
        self.right = elements_of(config, made)
        self.live: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for element, item in self.left:
            counts[element] = counts.get(element, 0) + 1
            self.live[element] = item
        for element, count in counts.items():
            if count > 1:  # which of the duplicates would be meant is unknown
                self.live[element] = None
        self.config = dict(self.right)
        self.shared = [element for element, _ in self.right if element in self.live]
        self.merged: set[str] = set()
        self.out: list[Any] = []

    def run(self) -> list[Any]:
        i = j = 0
        while i < len(self.left) or j < len(self.right):
            if i < len(self.left):
                element, item = self.left[i]
                if element not in self.config:
                    self.out.append(item)
                    i += 1
                    continue
                follows = j < len(self.right)
                if follows and element == self.right[j][0]:
                    i += 1
                elif follows and self.shared and self.shared[0] != element:  # shared, but another one comes first
                    i += 1
                    continue
                elif element in self.merged:
                    i += 1
            if j < len(self.right):
                self._take(self.right[j][0])
                j += 1
        return self.out

    def _take(self, element: str) -> None:
        self.merged.add(element)
        self.out.append(merge(self.live.get(element), self.config[element], self.item_type))
        if self.shared and self.shared[0] == element:
            self.shared.pop(0)


def _merge_lists(live: list[Any], config: list[Any], made: Type) -> list[Any]:
    return _ListMerge(live, config, made).run()


def remove(value: Any, fields: FieldSet, made: Type) -> Any:
    """``value`` without the members of ``fields`` (paths from here); None when nothing is left of a map or list."""
    if not fields:
        return value
    made = deduced(made, value)
    if is_leaf(made) or not value:
        return None if is_leaf(made) and made.shape in (Shape.LIST, Shape.STRUCT, Shape.MAP) else value
    if made.shape is Shape.LIST:
        return _remove_items(value, fields, made) if isinstance(value, list) else value
    if not isinstance(value, dict):
        return value
    left: dict[str, Any] = {}
    for name, inner in value.items():
        node = fields.get(f"f:{name}")
        if node is None:
            left[name] = inner
        elif node and SELF not in node and (kept := remove(inner, node, child(made, name))) is not None:
            left[name] = kept
    return left or None


def _remove_items(items: list[Any], fields: FieldSet, made: Type) -> list[Any] | None:
    left = []
    for element, item in elements_of(items, made):
        node = fields.get(element)
        if node is None:
            left.append(item)
        elif node and SELF not in node:
            left.append(remove(item, node, made.item or made))
    return left or None
