from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.quota import CONTROLLER
from controllers.quota.podusage import in_scopes, total
from controllers.quota.usage import used_of
from kubeling.api.meta import Object
from kubeling.api.resources import DEPLOYMENTS, PODS, RESOURCE_QUOTAS, SERVICES
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def container(cpu: str = "", **more: Any) -> Object:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "1"}} if cpu else {}, **more}


def pod(*containers: Object, phase: str = "Running", **spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("1"), container("500m")]}, "1500m"),
        ({"containers": [container("1")], "initContainers": [container("3")]}, "3"),
        ({"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, "2"),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("1", restartPolicy="Always"), container("3")],
            },
            "4",
        ),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, "1250m"),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "5"}}}, "5"),
    ],
)
def test_what_a_pod_requests(spec: Object, cpu: str) -> None:
    assert str(total(spec, "requests")["cpu"]) == cpu


@pytest.mark.parametrize(
    ("scope", "spec", "expected"),
    [
        ({"scopes": ["BestEffort"]}, pod(container()), True),
        ({"scopes": ["BestEffort"]}, pod(container("1")), False),
        ({"scopes": ["NotBestEffort", "Terminating"]}, pod(container("1"), activeDeadlineSeconds=5), True),
        ({"scopes": ["NotTerminating"]}, pod(container(), activeDeadlineSeconds=5), False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["hi"]}]
                }
            },
            pod(priorityClassName="hi"),
            True,
        ),
        ({"scopes": ["CrossNamespacePodAffinity"]}, pod(), False),
    ],
)
def test_scopes(scope: Object, spec: Object, expected: bool) -> None:
    assert in_scopes(spec, scope) is expected


def test_usage_of_all_kinds() -> None:
    claim = {"metadata": {}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}}
    balancer = {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}}
    objects: dict[str, list[Object]] = {
        "pods": [pod(container("1")), pod(container("2")), pod(container("4"), phase="Succeeded")],
        "persistentvolumeclaims": [claim, claim],
        "services": [balancer, {"metadata": {}, "spec": {"type": "ClusterIP"}}],
        "jobs.batch": [{"metadata": {}}],
    }
    names = "pods count/pods cpu requests.cpu limits.cpu requests.storage services services.nodeports count/jobs.batch"
    hard = dict.fromkeys([*names.split(), "fast.storageclass.storage.k8s.io/persistentvolumeclaims", "secrets"], "10")
    used = used_of({"spec": {"hard": hard}}, lambda kind: objects.get(kind, []), NOW)
    assert used == {
        "pods": "2",
        "count/pods": "3",
        "cpu": "3",
        "requests.cpu": "3",
        "limits.cpu": "2",
        "requests.storage": "4Gi",
        "services": "2",
        "services.nodeports": "2",
        "count/jobs.batch": "1",
        "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "2",
        "secrets": "0",
    }


async def test_status_follows_what_goes() -> None:
    async with World(CONTROLLER) as w:
        for number in range(2):
            w.create(PODS, f"p{number}", {"containers": []})
            w.create(DEPLOYMENTS, f"d{number}", {})
        w.create(SERVICES, "elsewhere", {}, namespace="other")
        hard = {"pods": "5", "count/deployments.apps": "5", "services": "1"}
        w.create(RESOURCE_QUOTAS, "q", {"hard": hard})
        await w.clock.advance(1)
        status = w.get(RESOURCE_QUOTAS, "q")["status"]
        assert status == {"hard": hard, "used": {"pods": "2", "count/deployments.apps": "2", "services": "0"}}
        w.set_status(w.get(PODS, "p0"), phase="Failed")
        w.api.delete(DEPLOYMENTS, "ns", "d0")
        await w.clock.advance(1)
        used = w.get(RESOURCE_QUOTAS, "q")["status"]["used"]
        assert (used["pods"], used["count/deployments.apps"]) == ("1", "1")
