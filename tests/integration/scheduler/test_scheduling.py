"""The scheduler process against the real server, looked at through pods, conditions and events."""

from __future__ import annotations

import asyncio

from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, condition_of, is_deleting
from kubeling.api.resources import (
    DEVICE_CLASSES,
    EVENTS,
    NODES,
    PODS,
    PRIORITY_CLASSES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
)
from tests.integration.controllers.conftest import eventually
from tests.integration.scheduler.conftest import World


async def node_of(world: World, name: str, seconds: float = 10) -> str:
    async def placed() -> str:
        return (await world.get(name))["spec"].get("nodeName") or ""

    return str(await eventually(placed, seconds))


async def refused(world: World, name: str) -> Object:
    """The pod once its condition says that it does not fit."""

    async def told() -> Object | None:
        pod = await world.get(name)
        condition = condition_of(pod, "PodScheduled")
        return (
            pod if condition and condition["status"] == "False" and condition.get("reason") == "Unschedulable" else None
        )

    found = await eventually(told)
    assert isinstance(found, dict)
    return found


async def events(world: World, name: str, reason: str) -> list[str]:
    async def told() -> list[str]:
        selector = f"involvedObject.name={name},reason={reason}"
        return [e["message"] for e in (await world.client.list(EVENTS, world.prefix, field_selector=selector))["items"]]

    found = await eventually(told)
    assert isinstance(found, list)
    return found


async def test_a_pod_gets_a_node(world: World) -> None:
    node = await world.node("n")
    await world.pod("p", "1")
    assert await node_of(world, "p") == node
    assert condition_of(await world.get("p"), "PodScheduled")["status"] == "True"  # type: ignore[index]
    assert await events(world, "p", "Scheduled") == [f"Successfully assigned {world.prefix}/p to {node}"]


async def test_a_pod_waits_for_place(world: World) -> None:
    node = await world.node("n", "2")
    await world.pod("first", "2")
    await node_of(world, "first")
    await world.pod("second", "1")
    condition = condition_of(await refused(world, "second"), "PodScheduled")
    assert condition is not None and "1 Insufficient cpu" in condition["message"]
    assert (await events(world, "second", "FailedScheduling"))[0] == condition["message"]
    await world.finish("first")
    assert await node_of(world, "second") == node


async def test_a_cordoned_node_is_used_again_once_it_is_not(world: World) -> None:
    node = await world.node("n")
    await world.client.patch(NODES, node, {"spec": {"unschedulable": True}})
    await world.pod("p")
    await refused(world, "p")
    await world.client.patch(NODES, node, {"spec": {"unschedulable": None, "taints": None}})
    assert await node_of(world, "p") == node


async def test_the_important_pod_takes_the_place(world: World) -> None:
    node = await world.node("n", "2")
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}
    await world.client.create(PRIORITY_CLASSES, high)
    await world.pod("small", "2", terminationGracePeriodSeconds=1)
    await node_of(world, "small")
    await world.pod("vip", "1", priorityClassName="high")

    async def evicted() -> bool:
        victim = await world.get("small")
        condition = condition_of(victim, "DisruptionTarget")
        return is_deleting(victim) and condition is not None and condition["reason"] == "PreemptionByScheduler"

    await eventually(evicted)
    assert (await refused(world, "vip"))["status"]["nominatedNodeName"] == node
    await world.client.delete(PODS, "small", world.prefix, grace_period_seconds=0)
    assert await node_of(world, "vip") == node


async def test_gates_keep_a_pod_back_and_foreign_pods_are_left_alone(world: World) -> None:
    node = await world.node("n")
    await world.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    await world.pod("foreign", schedulerName="somebody-else")
    await world.pod("plain")
    await node_of(world, "plain")
    gated = await world.get("gated")
    assert condition_of(gated, "PodScheduled")["reason"] == "SchedulingGated"  # type: ignore[index]
    assert "nodeName" not in gated["spec"]
    await world.client.patch(PODS, "gated", {"spec": {"schedulingGates": []}}, world.prefix)
    assert await node_of(world, "gated") == node
    assert "nodeName" not in (await world.get("foreign"))["spec"]


async def test_many_pods_never_exceed_a_node(world: World) -> None:
    nodes = [await world.node(f"n{i}", "4") for i in range(3)]

    async def make(i: int) -> None:
        await world.pod(f"p{i}", "500m")

    await asyncio.gather(*(make(i) for i in range(30)))

    async def settled() -> list[Object] | None:
        pods = (await world.client.list(PODS, world.prefix))["items"]
        return pods if sum(bool(p["spec"].get("nodeName")) for p in pods) == 24 else None

    pods = await eventually(settled)
    assert isinstance(pods, list)
    counts = {n: sum(p["spec"].get("nodeName") == n for p in pods) for n in nodes}
    assert counts == dict.fromkeys(nodes, 8)


async def test_a_deleted_pod_is_no_trouble(world: World) -> None:
    await world.node("n")
    for i in range(10):
        await world.pod(f"p{i}", "1")
        try:
            await world.client.delete(PODS, f"p{i}", world.prefix, grace_period_seconds=0)
        except StatusError as err:
            assert err.code == 404
    await world.pod("last", "4")
    assert await node_of(world, "last")


async def test_a_pod_gets_a_device_of_its_node(world: World) -> None:
    await world.node("without")
    node = await world.node("with")
    driver = f"{world.prefix}.example.com"
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    models = [{"name": name, "attributes": {"model": {"string": name}}} for name in "cd"]
    slice_ = {"driver": driver, "nodeName": node, "pool": pool, "devices": models}
    chosen = f"device.driver == '{driver}' && device.attributes['{driver}'].model == 'd'"
    selected = {"selectors": [{"cel": {"expression": chosen}}]}
    await world.client.create(DEVICE_CLASSES, {"metadata": {"name": world.prefix}, "spec": selected})
    devices = {"requests": [{"name": "r", "exactly": {"deviceClassName": world.prefix}}]}
    for name in ("one", "two"):
        await world.client.create(
            RESOURCE_CLAIMS, {"metadata": {"name": name, "namespace": world.prefix}, "spec": {"devices": devices}}
        )
    entries = [{"name": "dev", "resourceClaimName": "one"}]
    await world.pod("p", resourceClaims=entries)
    waiting = await refused(world, "p")
    condition = condition_of(waiting, "PodScheduled")
    assert condition is not None and "cannot allocate all claims" in condition["message"]
    await world.client.create(RESOURCE_SLICES, {"metadata": {"name": world.prefix}, "spec": slice_})
    assert await node_of(world, "p", 60) == node
    claim = await world.client.get(RESOURCE_CLAIMS, "one", world.prefix)
    assert claim["metadata"]["finalizers"] == ["resource.kubernetes.io/delete-protection"]
    assert [r["name"] for r in claim["status"]["reservedFor"]] == ["p"]
    result = {"request": "r", "driver": driver, "pool": node, "device": "d"}
    assert claim["status"]["allocation"]["devices"]["results"] == [result]
    await world.pod("q", resourceClaims=[{"name": "dev", "resourceClaimName": "two"}])
    await refused(world, "q")  # there is one device that the class selects, and somebody has it


async def test_a_class_serves_an_extended_resource(world: World) -> None:
    await world.node("without")
    node = await world.node("with")
    resource, driver = f"{world.prefix}.example.com/gpu", f"{world.prefix}.example.com"
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    slice_ = {"driver": driver, "nodeName": node, "pool": pool, "devices": [{"name": "d"}]}
    await world.client.create(RESOURCE_SLICES, {"metadata": {"name": world.prefix}, "spec": slice_})
    chosen = [{"cel": {"expression": f"device.driver == '{driver}'"}}]
    offer = {"selectors": chosen, "extendedResourceName": resource}
    asked = {"requests": {resource: "1"}, "limits": {resource: "1"}}
    containers = [{"name": "c", "image": "web:1", "resources": asked}]
    await world.pod("p", containers=containers)
    waiting = await refused(world, "p")
    condition = condition_of(waiting, "PodScheduled")
    assert condition is not None and f"Insufficient {resource}" in condition["message"]
    await world.client.create(DEVICE_CLASSES, {"metadata": {"name": world.prefix}, "spec": offer})
    assert await node_of(world, "p", 60) == node
    pod = await world.get("p")
    told = pod["status"]["extendedResourceClaimStatus"]
    mapping = {"containerName": "c", "resourceName": resource, "requestName": "container-0-request-0"}
    assert told["requestMappings"] == [mapping]
    claim = await world.client.get(RESOURCE_CLAIMS, told["resourceClaimName"], world.prefix)
    assert claim["metadata"]["annotations"] == {"resource.kubernetes.io/extended-resource-claim": "true"}
    assert claim["metadata"]["name"].startswith("p-extended-resources-")
    assert claim["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    assert [r["uid"] for r in claim["status"]["reservedFor"]] == [pod["metadata"]["uid"]]
    (result,) = claim["status"]["allocation"]["devices"]["results"]
    assert (result["request"], result["device"]) == ("container-0-request-0", "d")
    await world.pod("q", containers=containers)
    await refused(world, "q")


async def test_devices_move_when_theirs_cannot_be_used(world: World) -> None:
    """A claim was allocated for a node that has gone: it gives its devices back and gets others."""
    node = await world.node("n")
    driver = f"{world.prefix}.example.com"
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    slice_ = {"driver": driver, "nodeName": node, "pool": pool, "devices": [{"name": "d"}]}
    await world.client.create(RESOURCE_SLICES, {"metadata": {"name": world.prefix}, "spec": slice_})
    chosen = [{"cel": {"expression": f"device.driver == '{driver}'"}}]
    await world.client.create(DEVICE_CLASSES, {"metadata": {"name": world.prefix}, "spec": {"selectors": chosen}})
    devices = {"requests": [{"name": "r", "exactly": {"deviceClassName": world.prefix}}]}
    metadata = {"name": "c", "namespace": world.prefix}
    claim = await world.client.create(RESOURCE_CLAIMS, {"metadata": metadata, "spec": {"devices": devices}})
    gone = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gone"]}]}
    result = {"request": "r", "driver": driver, "pool": "gone", "device": "d"}
    allocation = {"devices": {"results": [result]}, "nodeSelector": {"nodeSelectorTerms": [gone]}}
    await world.client.update(RESOURCE_CLAIMS, {**claim, "status": {"allocation": allocation}}, subresource="status")
    await world.pod("p", resourceClaims=[{"name": "dev", "resourceClaimName": "c"}])
    assert await node_of(world, "p", 60) == node
    moved = await world.client.get(RESOURCE_CLAIMS, "c", world.prefix)
    assert moved["status"]["allocation"]["devices"]["results"] == [{**result, "pool": node}]
    assert moved["status"]["allocation"]["allocationTimestamp"]
