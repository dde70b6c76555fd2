"""LimitRanger, ResourceQuota and the sums they are about."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.limit_ranger import ANNOTATION, LimitRanger
from apiserver.admission.quota.plugin import ResourceQuota
from kubeling.api.errors import StatusError
from kubeling.api.meta import utcnow
from kubeling.api.podresources import pod_limits, pod_requests
from kubeling.api.quotas import in_scopes, usage
from kubeling.api.resources import (
    DEVICE_CLASSES,
    LIMIT_RANGES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_QUOTAS,
    SERVICES,
)


def container(name: str = "c", requests: Any = None, limits: Any = None, **more: Any) -> dict[str, Any]:
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"name": name, "image": "i", "resources": resources, **more}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"containers": list(containers) or [container()], **spec},
    }


def shown(values: Any) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("obj", "requests"),
    [
        (pod(container(requests={"cpu": "100m"}), container("d", {"cpu": "1"})), {"cpu": "1100m"}),
        (pod(container(requests={"cpu": "1"}), initContainers=[container("i", {"cpu": "3", "memory": "1Gi"})]),
         {"cpu": "3", "memory": "1Gi"}),
        (pod(container(requests={"cpu": "1"}),
             initContainers=[container("s", {"cpu": "500m"}, restartPolicy="Always"), container("i", {"cpu": "1200m"})]),
         {"cpu": "1700m"}),
        (pod(container(requests={"cpu": "1"}), overhead={"cpu": "250m", "memory": "10Mi"}),
         {"cpu": "1250m", "memory": "10Mi"}),
        (pod(container(requests={"cpu": "1"}), resources={"requests": {"cpu": "4"}}), {"cpu": "4"}),
    ],
)  # fmt: skip
def test_requests_of_a_pod(obj: Any, requests: dict[str, str]) -> None:
    assert shown(pod_requests(obj)) == requests


def test_overhead_makes_no_limit() -> None:
    obj = pod(container(limits={"cpu": "1"}), overhead={"cpu": "100m", "memory": "10Mi"})
    assert shown(pod_limits(obj)) == {"cpu": "1100m"}


LIMITS = {
    "metadata": {"name": "l", "namespace": "ns"},
    "spec": {
        "limits": [
            {"type": "Pod", "max": {"cpu": "1", "memory": "100Mi"}, "min": {"memory": "10Mi"}},
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}},
        ]
    },
}
SOME = {"cpu": "100m", "memory": "50Mi"}


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (pod(), "[minimum memory usage per Pod is 10Mi.  No request is specified, maximum cpu usage per Pod is 1.  No limit is "
                "specified, maximum memory usage per Pod is 100Mi.  No limit is specified, cpu max limit to request ratio per "
                "Container is 2, but no request is specified or request is 0]"),
        (pod(container(requests=SOME, limits={"cpu": "600m", "memory": "50Mi"})),
         "cpu max limit to request ratio per Container is 2, but provided ratio is 6.000000"),
        (pod(container(requests=SOME, limits={"cpu": "100m", "memory": "1Gi"})),
         "maximum memory usage per Pod is 100Mi, but limit is 1Gi"),
        (pod(container(requests={"cpu": "100m", "memory": "5Mi"}, limits=SOME)),
         "minimum memory usage per Pod is 10Mi, but request is 5Mi"),
        (pod(container(requests=SOME, limits=SOME)), ""),
    ],
)  # fmt: skip
async def test_limits(attributes: Any, registries: Any, obj: Any, text: str) -> None:
    registries.put(LIMIT_RANGES, LIMITS)
    assert await problem(LimitRanger(), attributes(PODS, obj)) == (f'pods "p" is forbidden: {text}' if text else "")


async def problem(plugin: Any, request: Any) -> str:
    try:
        await plugin.validate(request)
    except StatusError as error:
        return error.message
    return ""


@pytest.mark.parametrize(("size", "text"), [("500Mi", "minimum storage"), ("9Gi", "maximum storage"), ("2Gi", "")])
async def test_limits_of_claims(attributes: Any, registries: Any, size: str, text: str) -> None:
    registries.put(LIMIT_RANGES, LIMITS)
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}}}
    found = await problem(LimitRanger(), attributes(PERSISTENT_VOLUME_CLAIMS, claim))
    assert text in found and bool(found) is bool(text)


async def test_limits_fill_in_what_is_left_out(attributes: Any, registries: Any) -> None:
    defaults = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "500m", "memory": "1Mi"}}
    registries.put(LIMIT_RANGES, {"metadata": {"name": "l", "namespace": "ns"}, "spec": {"limits": [defaults]}})
    created = pod(container(), container("d", {"cpu": "2"}))
    await LimitRanger().mutate(attributes(PODS, created))
    first, second = (c["resources"] for c in created["spec"]["containers"])
    assert first == {"requests": {"cpu": "500m", "memory": "1Mi"}, "limits": {"cpu": "1"}}
    assert second == {"requests": {"cpu": "2", "memory": "1Mi"}, "limits": {"cpu": "1"}}
    assert created["metadata"]["annotations"][ANNOTATION] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c; "
        "memory request for container d; cpu limit for container d"
    )


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    metadata = {"name": "q", "namespace": "ns"}
    return {"metadata": metadata, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}


HARD = {"pods": "2", "requests.cpu": "1", "count/pods": "9"}


async def test_quotas_are_booked(attributes: Any, registries: Any) -> None:
    registries.put(RESOURCE_QUOTAS, quota(HARD, {"pods": "1", "requests.cpu": "500m", "count/pods": "1"}))
    asked = pod(container(requests={"cpu": "300m"}))
    await ResourceQuota().validate(attributes(PODS, asked, dry_run=True))
    await ResourceQuota().validate(attributes(PODS, asked))
    stored = registries.of(RESOURCE_QUOTAS).cached("q", "ns")
    assert stored["status"]["used"] == {"pods": "2", "requests.cpu": "800m", "count/pods": "2"}


@pytest.mark.parametrize(
    ("used", "requests", "text"),
    [
        ({"pods": "2", "requests.cpu": "0"}, {"cpu": "1m"}, "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
        ({"pods": "0", "requests.cpu": "600m"}, {"cpu": "600m"},
         "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"),
        ({"pods": "0", "requests.cpu": "0"}, None, "failed quota: q: must specify requests.cpu for: c"),
        ({}, {"cpu": "1m"}, "status unknown for quota: q, resources: pods,requests.cpu"),
    ],
)  # fmt: skip
async def test_quotas_that_are_full(attributes: Any, registries: Any, used: Any, requests: Any, text: str) -> None:
    registries.put(RESOURCE_QUOTAS, quota({"pods": "2", "requests.cpu": "1"}, used))
    found = await problem(ResourceQuota(), attributes(PODS, pod(container(requests=requests))))
    assert found == f'pods "p" is forbidden: {text}'
    assert registries.of(RESOURCE_QUOTAS).written == 1


async def test_a_quota_that_was_never_counted_limits_nothing(attributes: Any, registries: Any) -> None:
    registries.put(RESOURCE_QUOTAS, {"metadata": {"name": "q", "namespace": "ns"}, "spec": {"hard": {"pods": "0"}}})
    assert await problem(ResourceQuota(), attributes(PODS, pod())) == ""


async def test_claims_are_held_to_the_extended_resource_of_their_class(attributes: Any, registries: Any) -> None:
    name = "requests.example.com/gpu"
    registries.put(RESOURCE_QUOTAS, quota({name: "2"}, {name: "1"}))
    request = {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}}
    claim = {"metadata": {"name": "c", "namespace": "ns"}, "spec": {"devices": {"requests": [request]}}}
    assert await problem(ResourceQuota(), attributes(RESOURCE_CLAIMS, claim, dry_run=True)) == ""
    registries.put(DEVICE_CLASSES, {"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}})
    text = f"exceeded quota: q, requested: {name}=2, used: {name}=1, limited: {name}=2"
    found = await problem(ResourceQuota(), attributes(RESOURCE_CLAIMS, claim))
    assert found == f'resourceclaims.resource.k8s.io "c" is forbidden: {text}'


async def test_quotas_are_counted_too(attributes: Any, registries: Any) -> None:
    registries.put(RESOURCE_QUOTAS, quota({"resourcequotas": "1"}, {"resourcequotas": "1"}))
    found = await problem(ResourceQuota(), attributes(RESOURCE_QUOTAS, {"metadata": {"name": "r", "namespace": "ns"}}))
    assert "exceeded quota: q, requested: resourcequotas=1, used: resourcequotas=1, limited: resourcequotas=1" in found


def service(kind: str, ports: int, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{}] * ports, **spec}}


@pytest.mark.parametrize(
    ("resource", "obj", "expected"),
    [
        (SERVICES, service("NodePort", 2), {"services": "1", "services.nodeports": "2", "services.loadbalancers": "0"}),
        (SERVICES, service("LoadBalancer", 1), {"services.nodeports": "1", "services.loadbalancers": "1"}),
        (SERVICES, service("LoadBalancer", 1, allocateLoadBalancerNodePorts=False), {"services.nodeports": "0"}),
        (PERSISTENT_VOLUME_CLAIMS,
         {"metadata": {}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}},
         {"persistentvolumeclaims": "1", "requests.storage": "2Gi",
          "fast.storageclass.storage.k8s.io/requests.storage": "2Gi",
          "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"}),
        (PODS, {**pod(container(requests={"cpu": "1"})), "status": {"phase": "Succeeded"}}, {"count/pods": "1"}),
    ],
)  # fmt: skip
def test_what_objects_take(resource: Any, obj: Any, expected: dict[str, str]) -> None:
    found = shown(usage(resource.qualified, obj, utcnow()))
    assert {name: found.get(name) for name in expected} == expected
    if obj.get("status"):
        assert found == expected


@pytest.mark.parametrize(
    ("spec", "obj", "covered"),
    [
        ({"scopes": ["BestEffort"]}, pod(), True),
        ({"scopes": ["BestEffort"]}, pod(container(requests={"cpu": "1"})), False),
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=5), True),
        ({"scopes": ["NotTerminating"]}, pod(activeDeadlineSeconds=5), False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
         pod(priorityClassName="high"), True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
         pod(), False),
    ],
)  # fmt: skip
def test_scopes(spec: Any, obj: Any, covered: bool) -> None:
    assert in_scopes(spec, "pods", obj) is covered
