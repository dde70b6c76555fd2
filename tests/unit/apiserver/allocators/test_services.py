"""What services are given, and what they are refused before anything is taken."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.allocators.addresses import ClusterIPs
from apiserver.allocators.ports import NodePorts, PortError
from apiserver.allocators.services import ServiceAllocation
from apiserver.registry.kind import Context
from apiserver.storage.memory import MemoryStorage
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object
from kubeling.api.resources import SERVICE_CIDRS

LOW, HIGH = 30000, 32767


class Cidrs:
    """The registry of ServiceCIDR objects."""

    def __init__(self) -> None:
        self.objects: list[Object] = []

    def cached_list(self) -> list[Object]:
        return self.objects

    def add(self, *ranges: str, ready: str = "True", **metadata: Any) -> None:
        status = {"conditions": [{"type": "Ready", "status": ready}]} if ready else {}
        name = {"name": f"c{len(self.objects)}", **metadata}
        self.objects.append({"metadata": name, "spec": {"cidrs": list(ranges)}, "status": status})


class Addresses:
    """The registry of IPAddress objects."""

    def __init__(self) -> None:
        self.taken = set[str]()
        self.cidrs = Cidrs()

    def of(self, resource: Any) -> Any:
        return self.cidrs if resource is SERVICE_CIDRS else self

    def cached(self, name: str) -> Object | None:
        return {} if name in self.taken else None

    async def create(self, obj: Object) -> Object:
        self.taken.add(obj["metadata"]["name"])
        return obj

    async def delete(self, name: str) -> None:
        self.taken.discard(name)


class Cluster:
    def __init__(self) -> None:
        self.addresses = Addresses()
        self.ports = NodePorts(MemoryStorage(), LOW, HIGH)
        ranges = [ipaddress.ip_network("10.96.0.0/16")]
        self.services = ServiceAllocation(ClusterIPs(self.addresses, ranges), self.ports)  # type: ignore[arg-type]

    async def create(self, *, dry_run: bool = False, **spec: Any) -> Object:
        given = {"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP"}], **spec}
        obj: Object = {"metadata": {"name": "s", "namespace": "n"}, "spec": given}
        finish = await self.services.begin_create(Context(datetime.now(UTC), dry_run=dry_run), obj)
        await finish(not dry_run)
        return given


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_an_address_is_taken_and_kept(cluster: Cluster) -> None:
    spec = await cluster.create()
    assert spec["clusterIPs"] == [spec["clusterIP"]] == list(cluster.addresses.taken)
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


async def test_a_dry_run_takes_nothing(cluster: Cluster) -> None:
    assert (await cluster.create(dry_run=True))["clusterIP"]
    assert not cluster.addresses.taken


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"ipFamilies": ["IPv4", "IPv4"]}, ["spec.ipFamilies[1]"]),
        ({"ipFamilies": ["IPv6"]}, ["spec.ipFamilies[0]"]),
        ({"ipFamilies": ["IPv6"], "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}, ["spec.clusterIPs[0]"]),
        ({"ipFamilyPolicy": "RequireDualStack"}, ["spec.ipFamilyPolicy"]),
        ({"clusterIP": "10.95.0.9", "clusterIPs": ["10.95.0.9"]}, ["spec.clusterIPs"]),
    ],
)
async def test_refused_before_anything_is_taken(cluster: Cluster, spec: Object, fields: list[str]) -> None:
    with pytest.raises(StatusError) as caught:
        await cluster.create(**spec)
    assert [c["field"] for c in caught.value.status["details"]["causes"]] == fields
    assert not cluster.addresses.taken


async def test_ports_outside_of_the_range(cluster: Cluster) -> None:
    with pytest.raises(PortError, match="valid range"):
        await cluster.ports.take(80, "s")
    await cluster.ports.take(80, "s", dry_run=True)  # upstream does not look in a dry run


async def test_a_port_is_given_once(cluster: Cluster) -> None:
    await cluster.ports.take(LOW, "a")
    for dry_run in (False, True):
        with pytest.raises(PortError, match="already allocated"):
            await cluster.ports.take(LOW, "b", dry_run=dry_run)
    await cluster.ports.release(LOW)
    await cluster.ports.take(LOW, "b")


async def test_addresses_come_from_every_range_that_is_ready(cluster: Cluster) -> None:
    cidrs = cluster.addresses.cidrs
    cidrs.add("10.1.0.0/30")
    cidrs.add("10.2.0.0/30", ready="")
    cidrs.add("10.3.0.0/24", ready="False")
    cidrs.add("10.4.0.0/24", deletionTimestamp="2026-01-01T00:00:00Z")
    got = {(await cluster.create())["clusterIP"] for _ in range(4)}
    assert got == {"10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2"}
    with pytest.raises(StatusError, match="range is full"):
        await cluster.create()


async def test_an_address_outside_all_ranges_is_refused(cluster: Cluster) -> None:
    cluster.addresses.cidrs.add("10.1.0.0/24")
    with pytest.raises(
        StatusError, match=r"failed to allocate IP 10\.9\.0\.1: the provided network does not match the current"
    ):
        await cluster.create(clusterIP="10.9.0.1", clusterIPs=["10.9.0.1"])
    with pytest.raises(StatusError, match=r"The range of valid IPs is 10\.1\.0\.0/24"):
        await cluster.create(clusterIP="10.1.0.255", clusterIPs=["10.1.0.255"])
    assert (await cluster.create(clusterIP="10.1.0.9", clusterIPs=["10.1.0.9"]))["clusterIP"] == "10.1.0.9"
