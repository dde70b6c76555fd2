"""What objects take from quotas and which scopes take them in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubeling.api.devicequotas import CLAIMS, NOTHING, Around
from kubeling.api.meta import rfc3339
from kubeling.api.quotas import in_scopes, kinds_of, usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("count/deployments.apps", "deployments.apps"),
        ("count/events", ""),
        ("secrets", "secrets"),
        ("services.loadbalancers", "services"),
        ("requests.storage", "persistentvolumeclaims"),
        ("fast.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
        ("gpu.deviceclass.resource.k8s.io/devices", CLAIMS),
        ("pods", "pods"),
        ("ephemeral-storage", "pods"),
        ("limits.ephemeral-storage", "pods"),
        ("requests.hugepages-2Mi", "pods"),
        ("requests.example.com/gpu", f"pods {CLAIMS}"),
        ("requests.deviceclass.resource.kubernetes.io/gpu", f"pods {CLAIMS}"),
        ("requests.kubernetes.io/odd", ""),
        ("limits.example.com/gpu", ""),
        ("requests.odd", ""),
    ],
)
def test_what_a_limit_is_about(name: str, kinds: str) -> None:
    assert kinds_of(name) == tuple(kinds.split())


def taken(kind: str, obj: Any, around: Around = NOTHING) -> dict[str, str]:
    return {name: str(value) for name, value in usage(kind, obj, NOW, around).items() if value.value}


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
        "requests.deviceclass.resource.kubernetes.io/gpu": "5",
        "requests.deviceclass.resource.kubernetes.io/nic": "32",
        "requests.deviceclass.resource.kubernetes.io/fpga": "1",
    }


def claim(name: str = "c", second: int = 0, **metadata: Any) -> dict[str, Any]:
    """A claim for three devices of the class ``gpu``, as the scheduler makes it for the pod ``p``."""
    metadata = {
        "name": name, "namespace": "ns", "creationTimestamp": rfc3339(NOW + timedelta(seconds=second)),
        "annotations": {"resource.kubernetes.io/extended-resource-claim": "true"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}],
        **metadata,
    }  # fmt: skip
    request = {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 3}}
    return {"metadata": metadata, "spec": {"devices": {"requests": [request]}}}


def asking(resource: str, amount: str = "2", uid: str = "u", **status: Any) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {resource: amount}}}
    return {"metadata": {"name": "p", "uid": uid}, "spec": {"containers": [container]}, "status": status}


GPU, IMPLICIT = "example.com/gpu", "deviceclass.resource.kubernetes.io/gpu"


@pytest.mark.parametrize(
    ("made", "pod", "explicit", "implicit"),
    [
        (claim(annotations={}), asking(GPU), "3", "3"),
        (claim(ownerReferences=[]), asking(GPU), "3", "3"),
        (claim(), None, "3", "3"),
        (claim(), asking(GPU, uid="other"), "3", "3"),
        (claim(), asking(GPU), "1", "3"),
        (claim(), asking(GPU, "3"), None, "3"),
        (claim(), asking(IMPLICIT), "3", "1"),
        (claim(), asking(GPU, phase="Succeeded"), "3", "3"),
        (claim(), asking(GPU, extendedResourceClaimStatus={"resourceClaimName": "c"}), "1", "3"),
        (claim(), asking(GPU, extendedResourceClaimStatus={"resourceClaimName": "d"}), "3", "3"),
        (claim("e", second=1), asking(GPU), "3", "3"),
        (claim("e"), asking(GPU), "3", "3"),
        (claim("b"), asking(GPU), "1", "3"),
    ],
)
def test_devices_are_extended_resources_that_count_once(
    made: Any, pod: Any, explicit: str | None, implicit: str
) -> None:
    gpu = {"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": GPU}}
    others = [claim("d"), claim("c"), claim("a", annotations={})]
    around = Around(lambda: [gpu], lambda namespace, name: pod, lambda namespace: others)
    found = taken(CLAIMS, made, around)
    assert (found.get(f"requests.{GPU}"), found.get(f"requests.{IMPLICIT}")) == (explicit, implicit)
    assert found["gpu.deviceclass.resource.k8s.io/devices"] == "3"


def test_a_pod_takes_what_every_class_offers() -> None:
    assert taken("pods", asking(IMPLICIT))[f"requests.{IMPLICIT}"] == "2"


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
