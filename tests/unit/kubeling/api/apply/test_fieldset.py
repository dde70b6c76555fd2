"""Field sets: the algebra on FieldsV1 trees, against sets of paths."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeling.api.apply.fieldset import (
    SELF,
    BadFieldSet,
    FieldSet,
    checked,
    difference,
    has,
    intersection,
    paths,
    single,
    union,
    without_below,
)

Path = tuple[str, ...]


def members(fields: FieldSet, prefix: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for element, node in fields.items():
        if element == SELF:
            continue
        path = (*prefix, element)
        if not node or SELF in node:
            found.add(path)
        found |= members(node, path)
    return found


def tree(found: set[Path]) -> FieldSet:
    result: FieldSet = {}
    for path in found:
        result = union(result, single(*path))
    return result


PATHS = st.sets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'v:"y"']), min_size=1, max_size=3).map(tuple), max_size=6
)


@given(PATHS, PATHS)
def test_operations_are_those_of_sets_of_paths(left: set[Path], right: set[Path]) -> None:
    a, b = tree(left), tree(right)
    assert members(a) == left
    assert members(union(a, b)) == left | right
    assert members(difference(a, b)) == left - right
    assert members(intersection(a, b)) == left & right
    below = {p for p in left if not any(p[: len(q)] == q for q in right)}
    assert members(without_below(a, b)) == below
    assert all(has(a, p) for p in left)


def test_paths_are_printed_as_upstream_prints_them() -> None:
    fields = {
        "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}},
        "f:metadata": {"f:finalizers": {'v:"x/y"': {}}},
    }
    assert list(paths(fields)) == [
        '.metadata.finalizers[="x/y"]',
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
    ]


def test_given_sets_get_the_canonical_spelling() -> None:
    assert checked({'k:{"b": 1, "a": 2}': {}}) == {'k:{"a":2,"b":1}': {}}


@pytest.mark.parametrize("value", [1, {"bad": {}}, {"f:a": 1}, {"v:": {}}, {"k:1": {}}, {"i:x": {}}])
def test_what_is_no_field_set_is_refused(value: Any) -> None:
    with pytest.raises(BadFieldSet):
        checked(value)
