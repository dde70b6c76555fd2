"""Controllers of addresses, tokens and nodes against the real server, each as its own service account."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, annotations_of, condition_of, name_of
from kubeling.api.resources import (
    IP_ADDRESSES,
    NODES,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
    SERVICES,
    VOLUME_ATTRIBUTES_CLASSES,
)
from kubeling.client.rest import Client, PatchKind
from tests.integration.controllers.conftest import eventually

pytestmark = pytest.mark.usefixtures("manager")

RANGE = "10.77.0.0/29"


async def test_a_node_gets_its_part_of_the_pod_range_and_a_ttl(client: Client) -> None:
    await client.create(NODES, {"metadata": {"name": "ipam-1"}})
    await client.create(NODES, {"metadata": {"name": "ipam-2"}})

    async def part(name: str) -> Object | None:
        node = await client.get(NODES, name)
        told = annotations_of(node).get("node.alpha.kubernetes.io/ttl") is not None
        return node if told and node["spec"].get("podCIDRs") else None

    parts = []
    for name in ("ipam-1", "ipam-2"):
        node: Any = await eventually(lambda name=name: part(name), 60)  # type: ignore[misc]
        assert node["spec"]["podCIDRs"] == [node["spec"]["podCIDR"]]
        parts.append(ipaddress.ip_network(node["spec"]["podCIDR"]))
    assert parts[0] != parts[1]
    assert all(p.subnet_of(ipaddress.ip_network("10.244.0.0/16")) and p.prefixlen == 24 for p in parts)
    for name in ("ipam-1", "ipam-2"):
        await client.delete(NODES, name)


async def test_a_service_range_serves_until_it_is_empty(client: Client, namespace: str) -> None:
    await client.create(SERVICE_CIDRS, {"metadata": {"name": "more"}, "spec": {"cidrs": [RANGE]}})

    async def ready() -> bool:
        """ready, with its finalizer"""
        cidr = await client.get(SERVICE_CIDRS, "more")
        condition = condition_of(cidr, "Ready")
        return condition is not None and condition["status"] == "True" and "finalizers" in cidr["metadata"]

    await eventually(ready, 60)
    service = {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.77.0.3", "ports": [{"port": 80}]}}
    await client.create(SERVICES, service, namespace)
    address = await client.get(IP_ADDRESSES, "10.77.0.3")
    assert address["spec"]["parentRef"] == {"resource": "services", "namespace": namespace, "name": "s"}
    await client.delete(SERVICE_CIDRS, "more")

    async def blocked() -> bool:
        """held back"""
        condition = condition_of(await client.get(SERVICE_CIDRS, "more"), "Ready")
        return condition is not None and condition.get("reason") == "Terminating"

    await eventually(blocked, 60)
    other = {"metadata": {"name": "o"}, "spec": {"clusterIP": "10.77.0.4", "ports": [{"port": 80}]}}
    with pytest.raises(StatusError, match="the provided network does not match the current range"):
        await client.create(SERVICES, other, namespace)
    await client.delete(SERVICES, "s", namespace)

    async def gone() -> bool:
        """gone with its last address"""
        try:
            await client.get(SERVICE_CIDRS, "more")
        except StatusError as err:
            return is_not_found(err)
        return False

    await eventually(gone, 60)
    assert "10.77.0.3" not in [name_of(a) for a in (await client.list(IP_ADDRESSES))["items"]]


async def test_a_pods_claim_is_made_from_its_template_and_freed_when_it_ends(client: Client, namespace: str) -> None:
    request = {"name": "r", "exactly": {"deviceClassName": "gpu"}}
    template = {"metadata": {"name": "t"}, "spec": {"spec": {"devices": {"requests": [request]}}}}
    await client.create(RESOURCE_CLAIM_TEMPLATES, template, namespace)
    entries = [{"name": "gpu", "resourceClaimTemplateName": "t"}]
    spec = {"resourceClaims": entries, "containers": [{"name": "c", "image": "x"}], "nodeName": "nowhere-else"}

    async def account() -> bool:
        """the namespace's default service account is there: no pod is made without it"""
        return "default" in [name_of(a) for a in (await client.list(SERVICE_ACCOUNTS, namespace))["items"]]

    await eventually(account, 60)
    pod = await client.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace)

    async def noted() -> str:
        """the claim's name in the pod's status"""
        statuses = (await client.get(PODS, "p", namespace))["status"].get("resourceClaimStatuses") or [{}]
        return str(statuses[0].get("resourceClaimName") or "")

    name = str(await eventually(noted, 60))
    made = await client.get(RESOURCE_CLAIMS, name, namespace)
    assert made["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    result = {"request": "r", "driver": "drv.example.com", "pool": "p", "device": "d"}
    allocation = {"devices": {"results": [result]}}
    finalizer = {"metadata": {"finalizers": ["resource.kubernetes.io/delete-protection"]}}
    await client.patch(RESOURCE_CLAIMS, name, finalizer, namespace)
    await client.patch(RESOURCE_CLAIMS, name, {"status": {"allocation": allocation}}, namespace, subresource="status")

    async def reserved() -> bool:
        """reserved for the pod, which has its node already"""
        status = (await client.get(RESOURCE_CLAIMS, name, namespace)).get("status") or {}
        return [r["uid"] for r in status.get("reservedFor") or ()] == [pod["metadata"]["uid"]]

    await eventually(reserved, 60)
    ended = {"status": {"phase": "Succeeded"}}
    await client.patch(PODS, "p", ended, namespace, kind=PatchKind.STRATEGIC, subresource="status")

    async def gone() -> bool:
        """freed, and deleted"""
        return not (await client.list(RESOURCE_CLAIMS, namespace))["items"]

    await eventually(gone, 60)


async def test_volume_attributes_are_protected(client: Client) -> None:
    await client.create(
        VOLUME_ATTRIBUTES_CLASSES,
        {"metadata": {"name": "fast"}, "driverName": "d.example.com", "parameters": {"iops": "9"}},
    )

    async def gone() -> bool:
        """gone once its finalizer was taken away"""
        return "fast" not in [name_of(c) for c in (await client.list(VOLUME_ATTRIBUTES_CLASSES))["items"]]

    await client.delete(VOLUME_ATTRIBUTES_CLASSES, "fast")
    await eventually(gone, 60)
