from datetime import UTC, datetime
from typing import Any

from controllers.quota import CONTROLLER
from controllers.quota.counting import used_of
from kubeling.api.meta import Object
from kubeling.api.resources import DEPLOYMENTS, DEVICE_CLASSES, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS, SERVICES
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def container(cpu: str = "", **more: Any) -> Object:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "1"}} if cpu else {}, **more}


def pod(*containers: Object, phase: str = "Running", **spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}, "status": {"phase": phase}}


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
    hard = [*names.split(), "fast.storageclass.storage.k8s.io/persistentvolumeclaims", "secrets"]
    used = used_of({}, hard, lambda kind: objects.get(kind, []), NOW)
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


async def test_what_nothing_counts_has_no_figure_and_one_that_is_not_served_keeps_its_last() -> None:
    async with World(CONTROLLER) as w:
        hard = {"count/things.example.com": "3", "count/widgets.example.com": "3", "count/events": "1", "odd": "1"}
        w.create(RESOURCE_QUOTAS, "q", {"hard": {**hard, "pods": "1"}})
        w.api.update(RESOURCE_QUOTAS, "ns", "q", lambda q: q.update(
            status={"used": {"count/things.example.com": "2", "secrets": "1"}}
        ))  # fmt: skip
        await w.clock.advance(1)
        assert w.get(RESOURCE_QUOTAS, "q")["status"]["used"] == {"count/things.example.com": "2", "pods": "0"}


async def test_a_resize_is_counted_when_the_node_has_followed() -> None:
    async with World(CONTROLLER) as w:
        made = w.create(PODS, "p", {"containers": [container("2")]})
        given: Object = {"name": "c", "resources": {"requests": {"cpu": "2"}}, "allocatedResources": {"cpu": "2"}}
        w.set_status(made, phase="Running", containerStatuses=[given])
        w.create(RESOURCE_QUOTAS, "q", {"hard": {"requests.cpu": "5"}})
        await w.clock.advance(1)
        w.api.update(PODS, "ns", "p", lambda p: p["spec"]["containers"][0]["resources"]["requests"].update(cpu="1"))
        await w.clock.advance(1)
        assert w.get(RESOURCE_QUOTAS, "q")["status"]["used"] == {"requests.cpu": "2"}
        given = {"name": "c", "resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "1"}}
        w.set_status(w.get(PODS, "p"), phase="Running", containerStatuses=[given])
        await w.clock.advance(1)
        assert w.get(RESOURCE_QUOTAS, "q")["status"]["used"] == {"requests.cpu": "1"}


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


async def test_claimed_devices_are_counted_as_the_extended_resource_of_their_class() -> None:
    async with World(CONTROLLER) as w:
        w.create(DEVICE_CLASSES, "gpu", {"extendedResourceName": "example.com/gpu"}, namespace="")
        request = {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}}
        w.create(RESOURCE_CLAIMS, "c", {"devices": {"requests": [request]}})
        resources = {"requests": {"example.com/gpu": "1"}}
        w.create(PODS, "p", {"containers": [{"name": "c", "resources": resources}]})
        w.create(RESOURCE_QUOTAS, "q", {"hard": {"requests.example.com/gpu": "9"}})
        await w.settle()
        assert w.get(RESOURCE_QUOTAS, "q")["status"]["used"] == {"requests.example.com/gpu": "3"}
        w.api.delete(RESOURCE_CLAIMS, "ns", "c")
        await w.settle()
        assert w.get(RESOURCE_QUOTAS, "q")["status"]["used"] == {"requests.example.com/gpu": "1"}
