"""Field management: ordinary writes, server-side apply, conflicts, resets, the kubectl upgrade, limits."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeling.api.apply import FieldManager, ScaleOwnership
from kubeling.api.errors import StatusError
from kubeling.api.schema import GVK, schemas_for

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMAS = schemas_for()


def manager(group: str, kind: str, *ignored: str) -> FieldManager:
    gvk = GVK(group, "v1", kind)
    return FieldManager(gvk, SCHEMAS.of(*gvk), ignored)


CONFIG_MAPS = manager("", "ConfigMap")
DEPLOYMENTS = manager("apps", "Deployment", "status")
STATUS = manager("apps", "Deployment", "spec", "metadata.labels")
SERVICES = manager("", "Service", "status")


def config_map(**data: str) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    return obj | ({"data": data} if data else {})


def entries(obj: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [(e["manager"], e["operation"], e["fieldsV1"]) for e in obj["metadata"].get("managedFields") or []]


def stored(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it comes back from storage."""
    return {**obj, "metadata": {**obj["metadata"], "uid": "u", "resourceVersion": "1"}}


def apply(
    live: Any, patch: Any, who: str, *, force: bool = False, fields: FieldManager = CONFIG_MAPS, now: datetime = NOW
) -> Any:
    before = copy.deepcopy((live, patch))
    result = fields.apply(live, patch, who, force, "", now)
    assert (live, patch) == before
    return stored(result)


def update(
    live: Any, new: Any, who: str, *, fields: FieldManager = CONFIG_MAPS, subresource: str = "", now: datetime = NOW
) -> Any:
    before = copy.deepcopy((live, new))
    result = fields.update(live, new, who, subresource, now)
    assert (live, new) == before
    return stored(result)


def test_a_create_owns_what_it_sets_and_no_system_fields() -> None:
    made = update(None, config_map(a="1"), "maker")
    assert entries(made) == [("maker", "Update", {"f:data": {".": {}, "f:a": {}}})]
    assert made["metadata"]["managedFields"][0]["time"] == "2026-01-02T03:04:05Z"
    assert entries(update(None, config_map(), "maker")) == []


def test_value_structs_are_not_owned_but_pointers_are() -> None:
    deployment = SCHEMAS.of("apps", "v1", "Deployment").decode(
        {
            "metadata": {"name": "d"},
            "spec": {
                "strategy": {"rollingUpdate": {"maxSurge": 1}},
                "template": {"spec": {"containers": [{"name": "c", "env": [{"name": "E"}]}]}},
            },
        }
    )
    made = update(None, {**deployment.obj, "apiVersion": "apps/v1", "kind": "Deployment"}, "m", fields=DEPLOYMENTS)
    item = {".": {}, "f:env": {".": {}, 'k:{"name":"E"}': {".": {}, "f:name": {}}}, "f:name": {}, "f:resources": {}}
    assert entries(made)[0][2] == {
        "f:spec": {
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
            "f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': item}}},
        }
    }


def test_an_update_takes_what_it_changes_and_drops_what_it_removes() -> None:
    live = update(None, config_map(a="1", b="1"), "maker")
    live = update(live, config_map(a="2", b="1"), "editor", now=NOW + timedelta(seconds=1))
    assert entries(live) == [
        ("maker", "Update", {"f:data": {".": {}, "f:b": {}}}),
        ("editor", "Update", {"f:data": {"f:a": {}}}),
    ]
    live = update(live, config_map(b="1"), "maker", now=NOW + timedelta(seconds=2))
    assert entries(live) == [("maker", "Update", {"f:data": {".": {}, "f:b": {}}})]


def test_a_write_that_changes_nothing_leaves_everything() -> None:
    live = update(None, config_map(a="1"), "maker")
    same = {**config_map(a="1"), "metadata": {k: v for k, v in live["metadata"].items() if k != "managedFields"}}
    assert CONFIG_MAPS.update(live, same, "other", "", NOW + timedelta(days=1)) == live


def test_apply_merges_and_removes_what_is_no_longer_applied() -> None:
    live = apply(None, config_map(a="1", b="1"), "x")
    live = update(live, {**live, "data": {"a": "1", "b": "1", "c": "1"}}, "editor")
    live = apply(live, config_map(a="2"), "x")
    assert live["data"] == {"a": "2", "c": "1"}
    assert entries(live) == [
        ("x", "Apply", {"f:data": {"f:a": {}}}),
        ("editor", "Update", {"f:data": {"f:c": {}}}),
    ]


def test_what_another_applier_owns_stays() -> None:
    live = apply(apply(None, config_map(a="1", b="1"), "x"), config_map(b="1"), "y")
    live = apply(live, config_map(a="1"), "x")
    assert live["data"] == {"a": "1", "b": "1"}
    assert apply(live, config_map(), "y")["data"] == {"a": "1"}


def test_conflicts_name_owner_and_field() -> None:
    live = apply(None, config_map(a="1", b="1"), "x")
    with pytest.raises(StatusError) as caught:
        apply(live, config_map(a="2"), "y")
    assert (caught.value.code, caught.value.message) == (
        409,
        'Apply failed with 1 conflict: conflict with "x": .data.a',
    )
    assert caught.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "x"', "field": ".data.a"}
    ]
    live = update(live, {**live, "data": {"a": "5", "b": "1"}}, "editor")
    with pytest.raises(StatusError) as caught:
        apply(live, config_map(a="2", b="2"), "y")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "editor" using v1:\n- .data.a\nconflicts with "x":\n- .data.b'
    )


def test_force_takes_the_field_and_the_same_value_is_shared() -> None:
    live = apply(None, config_map(a="1", b="1"), "x")
    assert entries(apply(live, config_map(a="2"), "y", force=True)) == [
        ("x", "Apply", {"f:data": {"f:b": {}}}),
        ("y", "Apply", {"f:data": {"f:a": {}}}),
    ]
    shared = apply(live, config_map(a="1"), "y")
    assert entries(shared)[0] == ("y", "Apply", {"f:data": {"f:a": {}}})
    assert "time" not in shared["metadata"]["managedFields"][0]


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    spec = {"ports": list(ports)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}


def test_lists_are_merged_by_key_with_the_keys_defaults() -> None:
    live = apply(None, service({"port": 80, "name": "a"}), "x", fields=SERVICES)
    live["spec"]["ports"][0]["protocol"] = "TCP"
    live = apply(live, service({"port": 53, "protocol": "UDP", "name": "b"}), "y", fields=SERVICES)
    assert [p["port"] for p in live["spec"]["ports"]] == [80, 53]
    live = apply(live, service(), "x", fields=SERVICES)
    assert [p["port"] for p in live["spec"]["ports"]] == [53]


def test_keys_without_a_default_may_be_left_out() -> None:
    """Drivers report devices that nobody shares: without a shareID."""

    def reported(driver: str, value: int) -> dict[str, Any]:
        device = {"driver": driver, "pool": "p", "device": "d", "data": {"value": value}}
        return {
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "c"},
            "status": {"devices": [device]},
        }  # fmt: skip

    claims = manager("resource.k8s.io", "ResourceClaim", "spec")
    live = apply(None, reported("a", 1), "a", fields=claims)
    live = apply(live, reported("b", 1), "b", fields=claims)
    live = apply(live, reported("a", 2), "a", fields=claims)
    assert [(d["driver"], d["data"]["value"]) for d in live["status"]["devices"]] == [("a", 2), ("b", 1)]


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({**config_map(), "bogus": 1}, ".bogus: field not declared in schema"),
        (config_map() | {"data": {"a": 1}}, ".data.a: expected string, got &value.valueUnstructured{Value:1}"),
        (config_map() | {"data": ["a"]}, ".data: expected map, got &{[a]}"),
        (
            {**config_map(), "metadata": {"name": "c", "finalizers": ["a/b", "a/b"]}},
            '.metadata.finalizers: duplicate entries for key [="a/b"]',
        ),
        (
            {**config_map(), "metadata": {"name": "c", "ownerReferences": [{"name": "o"}]}},
            ".metadata.ownerReferences: element 0: associative list with keys has an element that omits all key fields "
            '["uid"] '
            "(and doesn't have default values for any key fields)",
        ),
    ],
)
def test_patches_that_do_not_fit_the_schema(patch: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        apply(None, patch, "x")
    assert caught.value.code == 500
    assert caught.value.message == f"failed to create typed patch object (/c; /v1, Kind=ConfigMap): {message}"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"kind": "ConfigMap"}, "invalid object type: /, Kind=ConfigMap"),
        ({"apiVersion": "v1", "kind": "Secret"}, "invalid object type: /v1, Kind=Secret"),
        ({**config_map(), "metadata": {"managedFields": [{}]}}, "metadata.managedFields must be nil"),
    ],
)
def test_patches_that_are_refused(patch: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        apply(None, patch, "x")
    assert (caught.value.code, caught.value.message) == (400, message)


def test_what_was_there_before_the_first_apply_is_owned_by_nobody_in_particular() -> None:
    live = stored(config_map(a="1", b="1"))
    assert entries(apply(live, config_map(b="1"), "x")) == [
        ("x", "Apply", {"f:data": {"f:b": {}}}),
        ("before-first-apply", "Update", {"f:data": {".": {}, "f:a": {}, "f:b": {}}}),
    ]


@pytest.mark.parametrize("reset", [[], [{}]])
def test_managed_fields_can_be_reset_and_stay_off_until_the_next_apply(reset: list[Any]) -> None:
    live = update(None, config_map(a="1"), "maker")
    new = {**config_map(a="1"), "metadata": {**live["metadata"], "managedFields": reset}}
    live = update(live, new, "maker")
    assert "managedFields" not in live["metadata"]
    assert "managedFields" not in update(live, {**live, "data": {"a": "2"}}, "editor")["metadata"]


def test_a_request_may_bring_managed_fields_but_not_through_a_subresource() -> None:
    live = update(None, config_map(a="1"), "maker")
    entry = {
        "manager": "z",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }
    new = {**live, "metadata": {**live["metadata"], "managedFields": [entry]}}
    assert entries(update(live, new, "m")) == [("z", "Apply", {"f:data": {"f:a": {}}})]
    assert entries(update(live, new, "m", subresource="status")) == entries(live)
    bad = {**live, "metadata": {**live["metadata"], "managedFields": [{**entry, "operation": "Odd"}]}}
    assert entries(update(live, bad, "m")) == entries(live)


def test_subresources_have_entries_of_their_own_and_leave_reset_fields() -> None:
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"paused": True},
        "status": {},
    }
    live = update(None, live, "m", fields=DEPLOYMENTS)
    new = {**live, "spec": {"paused": False}, "status": {"replicas": 1}}
    done = update(live, new, "m", fields=STATUS, subresource="status")
    assert entries(done) == [
        ("m", "Update", {"f:spec": {"f:paused": {}}}),
        ("m", "Update", {"f:status": {"f:replicas": {}}}),
    ]
    assert done["metadata"]["managedFields"][1]["subresource"] == "status"


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def test_kubectl_takes_over_what_client_side_apply_set() -> None:
    before = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}\n'
    live = {**config_map(a="1", b="1"), "metadata": {"name": "c", "annotations": {LAST_APPLIED: before}}}
    live = update(None, live, "kubectl-client-side-apply")
    done = apply(live, config_map(a="2"), "kubectl")
    assert done["data"] == {"a": "2", "b": "1"}
    assert done["metadata"]["annotations"][LAST_APPLIED] == (
        '{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}\n'
    )
    with pytest.raises(StatusError) as caught:
        apply(live, config_map(b="2"), "kubectl")
    assert "conflict with" in caught.value.message
    with pytest.raises(StatusError):
        apply(live, config_map(a="2"), "other")


def test_old_updaters_are_joined_beyond_ten() -> None:
    live = update(None, config_map(k0="0"), "m0")
    for i in range(1, 13):
        live = update(live, {**live, "data": {**live["data"], f"k{i}": "1"}}, f"m{i}", now=NOW + timedelta(seconds=i))
    names = [name for name, _, _ in entries(live)]
    assert (len(names), names[0]) == (10, "ancient-changes")
    assert {"f:k0", "f:k1", "f:k2", "f:k3"} <= entries(live)[0][2]["f:data"].keys()


def test_ownership_of_replicas_moves_between_an_object_and_its_scale() -> None:
    fields = {"f:spec": {"f:paused": {}, "f:replicas": {}}}
    owner = {"manager": "m", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
             "fieldsType": "FieldsV1", "fieldsV1": fields}  # fmt: skip
    ownership = ScaleOwnership([owner], "apps/v1", {"apps/v1": "spec.replicas"})
    assert [(e["manager"], e["apiVersion"], e["fieldsV1"]) for e in ownership.to_scale()] == [
        ("m", "autoscaling/v1", {"f:spec": {"f:replicas": {}}})
    ]
    scaler = {
        **owner,
        "manager": "s",
        "apiVersion": "autoscaling/v1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
        "subresource": "scale",
    }
    assert [(e["manager"], e["apiVersion"], e["fieldsV1"], e.get("time")) for e in ownership.to_parent([scaler])] == [
        ("s", "apps/v1", {"f:spec": {"f:replicas": {}}}, None),
        ("m", "apps/v1", {"f:spec": {"f:paused": {}}}, "2026-01-01T00:00:00Z"),
    ]
