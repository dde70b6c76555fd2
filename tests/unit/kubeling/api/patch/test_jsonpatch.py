"""JSON patch and merge patch."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeling.api.errors import StatusError
from kubeling.api.patch import json_patch, merge_patch

DOC: dict[str, Any] = {"z": 1, "a": {"b": [1, 2, 3], "q/r": {"s~t": None}}}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/a/b/-", "value": 4}], {"b": [1, 2, 3, 4]}),
        ([{"op": "add", "path": "/a/b/1", "value": 4}], {"b": [1, 4, 2, 3]}),
        ([{"op": "add", "path": "/a/b/-1", "value": 4}], {"b": [1, 2, 3, 4]}),
        ([{"op": "remove", "path": "/a/b/-1"}], {"b": [1, 2]}),
        ([{"op": "replace", "path": "/a/b/0", "value": [9]}], {"b": [[9], 2, 3]}),
        ([{"op": "replace", "path": "/a/q~1r/s~0t", "value": 5}], {"q/r": {"s~t": 5}}),
        ([{"op": "move", "from": "/a/b/0", "path": "/a/b/2"}], {"b": [2, 3, 1]}),
        (
            [{"op": "copy", "from": "/a/b", "path": "/a/c"}, {"op": "remove", "path": "/a/c/0"}],
            {"b": [1, 2, 3], "c": [2, 3]},
        ),
        ([{"op": "test", "path": "/nothing", "value": None}], {}),
        ([{"op": "replace", "path": "/a/new", "value": 1}], {"new": 1}),
        ([{"op": "copy", "from": "/none", "path": "/a/new"}], {"new": None}),
        ([{"op": "test", "path": "/a/q~1r/s~0t"}, {"op": "add", "path": "/a/n"}], {"n": None}),
    ],
)
def test_operations(operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    before = copy.deepcopy(DOC)
    assert json_patch(DOC, operations)["a"] == {**DOC["a"], **expected}
    assert before == DOC


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "odd", "path": "/a"},
        {"op": "add", "value": 1},
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "path": "/none/x", "value": 1},
        {"op": "add", "path": "/a/b/9", "value": 1},
        {"op": "add", "path": "/a/b/x", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": "/a/b/-"},
        {"op": "move", "path": "/a"},
        {"op": "move", "from": "/none", "path": "/x"},
        {"op": "replace", "path": "/a/b/9", "value": 1},
        {"op": "test", "path": "/z", "value": True},
        {"op": "test", "path": "/a", "value": {"b": [1, 2, 3]}},
    ],
)
def test_what_cannot_be_applied_is_unprocessable(operation: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as caught:
        json_patch(DOC, [operation])
    assert caught.value.code == 422
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert caught.value.status["details"] == {}


def test_operations_are_limited() -> None:
    with pytest.raises(StatusError) as caught:
        json_patch(DOC, [{"op": "test", "path": "/z", "value": 1}] * 10_001)
    assert caught.value.code == 413
    assert caught.value.message == "The allowed maximum operations in a JSON patch is 10000, got 10001"


def test_touched_containers_are_written_in_order_of_keys_others_as_they_stood() -> None:
    doc = {"z": {"y": 1, "b": 2}, "a": {"y": 1, "b": 2}}
    patched = json_patch(doc, [{"op": "add", "path": "/a/m", "value": 1}])
    assert [list(patched), list(patched["a"]), list(patched["z"])] == [["a", "z"], ["b", "m", "y"], ["y", "b"]]
    merged = merge_patch(doc, {"a": {"m": 1}})
    assert [list(merged), list(merged["a"]), list(merged["z"])] == [["a", "z"], ["b", "m", "y"], ["y", "b"]]


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"z": None, "none": None}, {"a": DOC["a"]}),
        ({"z": {"n": None, "k": {"x": None, "y": 1}}}, {"a": DOC["a"], "z": {"k": {"y": 1}}}),
        ({"a": {"b": [None, {"n": None}]}}, {"z": 1, "a": {**DOC["a"], "b": [None, {}]}}),
        ({"a": 5}, {"z": 1, "a": 5}),
    ],
)
def test_merge_patch(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    before = copy.deepcopy(DOC)
    assert merge_patch(DOC, patch) == expected
    assert before == DOC


def test_a_merge_patch_must_be_an_object() -> None:
    with pytest.raises(StatusError) as caught:
        merge_patch(DOC, None)
    assert (caught.value.code, caught.value.message) == (400, "Invalid JSON Patch")
