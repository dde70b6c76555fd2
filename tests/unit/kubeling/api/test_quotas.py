"""What objects take from quotas and which scopes take them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeling.api.meta import rfc3339
from kubeling.api.quotas import CLAIMS, in_scopes, kind_of, usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("count/deployments.apps", "deployments.apps"),
        ("count/events", None),
        ("secrets", "secrets"),
        ("services.loadbalancers", "services"),
        ("requests.storage", "persistentvolumeclaims"),
        ("fast.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
        ("gpu.deviceclass.resource.k8s.io/devices", CLAIMS),
        ("pods", "pods"),
        ("ephemeral-storage", "pods"),
        ("limits.ephemeral-storage", "pods"),
        ("requests.hugepages-2Mi", "pods"),
        ("requests.example.com/gpu", "pods"),
        ("limits.example.com/gpu", None),
        ("requests.odd", None),
    ],
)
def test_what_a_limit_is_about(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def taken(kind: str, obj: Any) -> dict[str, str]:
    return {name: str(value) for name, value in usage(kind, obj, NOW).items() if value.value}


def test_a_pod_takes_extended_resources_by_request_alone() -> None:
    resources = {name: "2" for name in ("example.com/gpu", "hugepages-2Mi", "ephemeral-storage")}
    container = {"name": "c", "resources": {"requests": resources, "limits": resources}}
    assert taken("pods", {"metadata": {}, "spec": {"containers": [container]}}) == {
        "count/pods": "1",
        "pods": "1",
        "requests.example.com/gpu": "2",
        "hugepages-2Mi": "2",
        "requests.hugepages-2Mi": "2",
        "ephemeral-storage": "2",
        "requests.ephemeral-storage": "2",
        "limits.ephemeral-storage": "2",
    }


@pytest.mark.parametrize(("ago", "counts"), [(29, True), (31, False)])
def test_a_pod_that_should_be_gone_long_since_takes_only_its_place(ago: int, counts: bool) -> None:
    metadata = {"deletionTimestamp": rfc3339(NOW - timedelta(seconds=ago)), "deletionGracePeriodSeconds": 30}
    assert ("pods" in taken("pods", {"metadata": metadata, "spec": {}})) is counts


def test_ports_with_a_number_count_where_none_are_allocated() -> None:
    spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"nodePort": 30000}, {}]}
    assert taken("services", {"spec": spec}) == {
        "count/services": "1", "services": "1", "services.nodeports": "1", "services.loadbalancers": "1"
    }  # fmt: skip


def test_a_claim_that_was_given_more_than_it_asks_for_takes_what_it_has() -> None:
    spec = {"resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {}, "spec": spec, "status": {"allocatedResources": {"storage": "3Gi"}}}
    assert taken("persistentvolumeclaims", claim)["requests.storage"] == "3Gi"


def test_devices_by_class() -> None:
    requests = [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {"name": "b", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
        {"name": "c", "firstAvailable": [
            {"deviceClassName": "gpu", "count": 1},
            {"deviceClassName": "gpu", "count": 3},
            {"deviceClassName": "fpga"},
        ]},
    ]  # fmt: skip
    assert taken(CLAIMS, {"spec": {"devices": {"requests": requests}}}) == {
        f"count/{CLAIMS}": "1",
        "gpu.deviceclass.resource.k8s.io/devices": "5",
        "nic.deviceclass.resource.k8s.io/devices": "32",
        "fpga.deviceclass.resource.k8s.io/devices": "1",
    }


def selector(scope: str, operator: str, *values: str) -> Any:
    return {"scopeSelector": {"matchExpressions": [{"scopeName": scope, "operator": operator, "values": [*values]}]}}


CLASSES = {"spec": {"volumeAttributesClassName": "new"}, "status": {"currentVolumeAttributesClassName": "old"}}


@pytest.mark.parametrize(
    ("spec", "kind", "obj", "covered"),
    [
        ({}, "secrets", {}, True),
        ({"scopes": ["BestEffort"]}, "secrets", {}, False),
        ({"scopes": ["BestEffort"]}, "pods", {"spec": {"resources": {"requests": {"cpu": "1"}}}}, False),
        ({"scopes": ["NotBestEffort"]}, "pods", {"spec": {"overhead": {"cpu": "1"}}}, False),
        (selector("PriorityClass", "NotIn", "high"), "pods", {"spec": {}}, True),
        (selector("PriorityClass", "DoesNotExist"), "pods", {"spec": {"priorityClassName": "high"}}, False),
        (selector("VolumeAttributesClass", "In", "old"), "persistentvolumeclaims", CLASSES, True),
        (selector("VolumeAttributesClass", "In", "other"), "persistentvolumeclaims", CLASSES, False),
        (selector("VolumeAttributesClass", "DoesNotExist"), "persistentvolumeclaims", {"spec": {}}, True),
        (selector("VolumeAttributesClass", "Exists"), "pods", {"spec": {}}, False),
    ],
)
def test_scopes(spec: Any, kind: str, obj: Any, covered: bool) -> None:
    assert in_scopes(spec, kind, obj) is covered
