"""Controllers of addresses, tokens and nodes against the real server, each as its own service account."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, annotations_of, condition_of, name_of
from kubeling.api.resources import IP_ADDRESSES, NODES, SERVICE_CIDRS, SERVICES
from kubeling.client.rest import Client
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
