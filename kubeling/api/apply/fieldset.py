"""Sets of field paths, held as the ``FieldsV1`` JSON that carries them.

A node maps path elements to nodes: ``f:name`` a field, ``k:{...}`` a list item by its keys, ``v:...`` a set's item,
``i:...`` an index. A path is a member of the set when its node is empty or holds ``"."``; the root is never a member,
so ``{}`` as a root is the empty set. No function changes its arguments; results share nodes with them. Source of the
encoding: sigs.k8s.io/structured-merge-diff, fieldpath.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

FieldSet = dict[str, Any]

SELF = "."


class BadFieldSet(ValueError):
    """The JSON is no FieldsV1."""


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Everything that is in either."""
    if not left:
        return right
    if not right:
        return left
    result = dict(left)
    for element, node in right.items():
        mine = left.get(element)
        result[element] = node if mine is None else _join(mine, node)
    return result


def _join(left: FieldSet, right: FieldSet) -> FieldSet:
    if left and right:
        return union(left, right)
    if not left and not right:
        return left
    return {SELF: {}, **left, **right}


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in ``left`` and not in ``right``; paths below a path of ``right`` stay."""
    if not left or not right:
        return left
    result: FieldSet = {}
    for element, node in left.items():
        other = right.get(element)
        kept = node if other is None else _without(node, other)
        if kept is not None:
            result[element] = kept
    return result


def _without(left: FieldSet, right: FieldSet) -> FieldSet | None:
    member = _is_member(left) and not _is_member(right)
    children = difference(_children(left), _children(right))
    return _node(member, children)


def without_below(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in ``left`` and neither in ``right`` nor below a path of ``right``."""
    if not left or not right:
        return left
    result: FieldSet = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None:
            result[element] = node
        elif not _is_member(other):
            kept = _node(_is_member(node), without_below(_children(node), other))
            if kept is not None:
                result[element] = kept
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in both."""
    result: FieldSet = {}
    for element in left.keys() & right.keys() - {SELF}:
        a, b = left[element], right[element]
        node = _node(_is_member(a) and _is_member(b), intersection(_children(a), _children(b)))
        if node is not None:
            result[element] = node
    return result


def _is_member(node: FieldSet) -> bool:
    return not node or SELF in node


def _children(node: FieldSet) -> FieldSet:
    if SELF in node:
        return {k: v for k, v in node.items() if k != SELF}
    return node


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    if not children:
        return {} if member else None
    return {SELF: {}, **children} if member else children


def has(fields: FieldSet, path: tuple[str, ...]) -> bool:
    """Whether a path of elements (``("f:spec", "f:replicas")``) is a member."""
    for element in path:
        node = fields.get(element)
        if node is None:
            return False
        fields = node
    return _is_member(fields)


def single(*path: str) -> FieldSet:
    """The set of one path of elements."""
    node: FieldSet = {}
    for element in reversed(path):
        node = {element: node}
    return node


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as upstream prints them: ``.spec.containers[name="c"].image``. At each level those of the level come first,
    then what lies below, both sorted."""
    elements = [e for e in sorted(fields, key=_sort_key) if e != SELF]
    yield from (prefix + path_text(e) for e in elements if _is_member(fields[e]))
    for element in elements:
        yield from paths(fields[element], prefix + path_text(element))


def _sort_key(element: str) -> tuple[int, str]:
    return "fkvi".find(element[:1]), element


@lru_cache(maxsize=4096)
def path_text(element: str) -> str:
    """``.name``, ``[key="value"]``, ``[="value"]`` or ``[0]``."""
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys: dict[str, Any] = json.loads(rest)
        return "[" + ",".join(f"{name}={_scalar(keys[name])}" for name in sorted(keys)) + "]"
    return f"[={_scalar(json.loads(rest))}]" if kind == "v" else f"[{rest}]"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=8192)
def _canonical_element(element: str) -> str:
    kind, colon, rest = element.partition(":")
    if not colon or kind not in ("f", "k", "v", "i"):
        raise BadFieldSet(f"unknown path element type: {element}")
    try:
        if kind == "i":
            return f"i:{int(rest)}"
        if kind == "f":
            return element
        value = json.loads(rest)
    except ValueError as error:
        raise BadFieldSet(str(error)) from None
    if kind == "k" and not isinstance(value, dict):
        raise BadFieldSet(f"invalid key: {element}")
    return f"{kind}:" + json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def checked(value: Any) -> FieldSet:
    """A set from JSON that others wrote; elements get their canonical spelling. Raises BadFieldSet."""
    if not isinstance(value, dict):
        raise BadFieldSet("expected an object")
    return {k if k == SELF else _canonical_element(k): checked(v) for k, v in value.items()}


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with its elements in the order in which they are written; empty branches are dropped."""
    return {k: ordered(fields[k]) if fields[k] else fields[k] for k in sorted(fields)}
