"""Defaults, nulls, and lists that are sets or maps."""

from __future__ import annotations

from typing import Any

import pytest

from kubeling.api.fields import Path
from kubeling.api.structural.defaulting import compile_defaults
from kubeling.api.structural.lists import compile_lists

SCHEMA = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "default": 3},
        "name": {"type": "string"},
        "may": {"type": "string", "nullable": True, "default": "d"},
        "in": {"type": "object", "default": {}, "properties": {"x": {"type": "integer", "default": 1}}},
        "many": {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "integer", "default": 2}}}},
        "map": {"type": "object", "additionalProperties": {"type": "string", "default": "v"}},
    },
}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"size": 3, "may": "d", "in": {"x": 1}}),
        ({"size": None, "name": None, "may": None}, {"size": 3, "may": None, "in": {"x": 1}}),
        (
            {"size": 1, "may": "", "in": {"x": 7}, "many": [{}, {"y": 3}], "map": {"a": None, "b": "c"}},
            {"size": 1, "may": "", "in": {"x": 7}, "many": [{"y": 2}, {"y": 3}], "map": {"a": "v", "b": "c"}},
        ),
    ],
)
def test_defaults(given: dict[str, Any], made: dict[str, Any]) -> None:
    change = compile_defaults(SCHEMA)
    assert change is not None
    change(given)
    assert given == made


def test_a_default_is_never_shared() -> None:
    change = compile_defaults(SCHEMA)
    assert change is not None
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    change(first)
    first["in"]["x"] = 9
    change(second)
    assert second["in"] == {"x": 1}


def test_repeated_members_are_named_once() -> None:
    check = compile_lists(
        {
            "properties": {
                "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "m": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                    "items": {},
                },
            }
        }
    )
    assert check is not None
    value = {"s": ["a", "b", "a", "a"], "m": [{"k": 1, "v": 1}, {"k": 1, "v": 2}]}
    assert [str(e) for e in check(value, Path())] == ['m[1]: Duplicate value: {"k":1}', 's[2]: Duplicate value: "a"']
    assert check({"s": ["a"], "m": [{"k": 1}, {"k": 2}]}, Path()) == []
