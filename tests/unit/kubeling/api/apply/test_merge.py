"""Merging associative lists: the order of what both sides have."""

from __future__ import annotations

import pytest

from kubeling.api.apply.merge import merge
from kubeling.api.schema import Shape, Type

SET = Type(Shape.LIST, item=Type(Shape.STRING, go="string"), list_type="set")


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [
        ("abc", "", "abc"),
        ("", "abc", "abc"),
        ("abc", "d", "abcd"),
        ("abc", "cd", "abcd"),
        ("abc", "ca", "bca"),
        ("abcd", "db", "acdb"),
        ("abc", "xb", "axbc"),
        ("ab", "ba", "ba"),
    ],
)
def test_order(live: str, config: str, expected: str) -> None:
    assert "".join(merge(list(live), list(config), SET)) == expected
