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

LOW, HIGH = 30000, 32767


class Addresses:
    """The registry of IPAddress objects."""

    def __init__(self) -> None:
        self.taken = set[str]()

    def of(self, resource: Any) -> Addresses:
        return self

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
