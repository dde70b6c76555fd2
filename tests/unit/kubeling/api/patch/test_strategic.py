"""Strategic merge patch: lists by key, primitive lists, directives, orders, errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubeling.api.errors import StatusError
from kubeling.api.patch import strategic_merge
from kubeling.api.schema import schemas_for

POD = schemas_for().of("", "v1", "Pod")
DEPLOYMENT = schemas_for().of("apps", "v1", "Deployment")

ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]


def container(patch: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What a patch of the only container makes of it."""
    doc = {"spec": {"containers": [{"name": "c", **fields}]}}
    before = copy.deepcopy(doc)
    merged = strategic_merge(doc, {"spec": {"containers": [{"name": "c", **patch}]}}, POD)
    assert doc == before
    result: dict[str, Any] = merged["spec"]["containers"][0]
    return result


def names(items: list[dict[str, Any]]) -> str:
    return "".join(i["name"] for i in items)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"env": [{"name": "B", "value": "22"}]}, "ABC"),
        ({"env": [{"name": "D", "value": "4"}]}, "DABC"),
        ({"env": [{"name": "D", "value": "4"}, {"name": "B", "value": "x"}]}, "DABC"),
        ({"env": [{"name": "A", "$patch": "delete"}]}, "BC"),
        ({"env": [{"$patch": "replace"}, {"name": "X", "value": "1"}]}, "X"),
        ({"$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}]}, "CBA"),
        ({"$setElementOrder/env": [{"name": "C"}, {"name": "A"}]}, "BCA"),
        (
            {
                "$setElementOrder/env": [{"name": "B"}, {"name": "N"}, {"name": "A"}],
                "env": [{"name": "N", "value": "n"}],
            },
            "BNAC",
        ),
        ({"env": []}, "ABC"),
    ],
)
def test_lists_merged_by_key_keep_the_order_of_patch_and_server(patch: dict[str, Any], expected: str) -> None:
    assert names(container(patch, env=ENV)["env"]) == expected


def test_a_list_set_to_null_goes() -> None:
    assert "env" not in container({"env": None}, env=ENV)


def test_atomic_lists_are_replaced_and_primitive_merge_lists_joined() -> None:
    assert container({"args": ["z"]}, args=["x", "y"])["args"] == ["z"]
    doc = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_merge(doc, {"metadata": {"finalizers": ["c", "b"]}}, POD)["metadata"]["finalizers"] == [
        "c",
        "a",
        "b",
    ]
    removed = strategic_merge(doc, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}}, POD)
    assert removed["metadata"] == {"finalizers": ["b"]}


def test_directives_on_objects() -> None:
    doc = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    replaced = strategic_merge(doc, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}, POD)
    assert replaced["metadata"]["labels"] == {"c": "3"}
    assert strategic_merge(doc, {"metadata": {"labels": {"$patch": "delete"}}}, POD)["metadata"]["labels"] == {}


def test_retain_keys_drops_what_it_does_not_name() -> None:
    doc = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(doc, patch, DEPLOYMENT)["spec"]["strategy"] == {"type": "Recreate"}


def test_new_values_come_without_nulls_and_directives() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": None}}}
    assert strategic_merge({"spec": {}}, patch, DEPLOYMENT)["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        (
            {"env": [{"value": "x"}]},
            500,
            "map: map[value:x] does not contain declared merge key: name",
        ),
        ({"env": [{"name": "A", "$patch": "odd"}]}, 500, "unknown patch type: odd in map: map[$patch:odd name:A]"),
        ({"$patch": "odd"}, 500, "unknown patch type: odd in map: map[$patch:odd name:c]"),
        ({"resources": {"$retainKeys": 1}}, 400, "invalid patch format of retainKeys"),
        ({"$setElementOrder/env": 1}, 400, "invalid patch format of setElementOrder list"),
        (
            {"$setElementOrder/env": [{"name": "B"}], "env": [{"name": "A"}]},
            500,
            "The order in patch list:\n[map[name:A]]\n doesn't match $setElementOrder list:\n[map[name:B]]\n",
        ),
        (
            {"env": [{"name": "A"}, "x"]},
            500,
            "list element types are not identical: [[map[name:A value:1] map[name:B value:2] map[name:C value:3]] [map[name:A] x]]",
        ),
        ({"$deleteFromPrimitiveList/args": 1}, 400, "invalid patch format of primitive list"),
    ],
)
def test_malformed_patches(patch: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        container(patch, env=ENV, resources={})
    assert (caught.value.code, caught.value.message) == (code, message)
