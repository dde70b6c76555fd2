"""Services and IPAddress objects that have come apart."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apiserver.allocators.addresses import address_object
from apiserver.allocators.repair import plan
from kubeling.api.meta import Key, Object

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def service(name: str, *addresses: str, **spec: object) -> Object:
    return {
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"type": "ClusterIP", "clusterIPs": list(addresses), **spec},
    }


def address(ip: str, owner: str, created: str = "2026-01-01T00:00:00Z", **labels: str) -> Object:
    made = address_object(ip, Key("n", owner))
    made["metadata"]["creationTimestamp"] = created
    made["metadata"]["labels"].update(labels)
    return made


@pytest.mark.parametrize(
    ("services", "objects", "steps"),
    [
        ([service("a", "10.0.0.1", "fd00::1")], [address("10.0.0.1", "a"), address("fd00::1", "a")], []),
        ([service("a", "None")], [], []),
        ([service("a", type="ExternalName")], [], []),
        ([service("a", "10.0.0.1")], [], [("10.0.0.1", "ClusterIPNotAllocated", "create")]),
        ([], [address("10.0.0.1", "a")], [("10.0.0.1", "IPAddressNotAllocated", "delete")]),
        ([], [address("10.0.0.1", "a", "2026-01-01T00:59:30Z")], []),
        ([], [address("10.0.0.1", "a", **{"ipaddress.kubernetes.io/managed-by": "someone"})], []),
        (
            [service("a", "10.0.0.1"), service("b", "10.0.0.1")],
            [address("10.0.0.1", "a")],
            [("10.0.0.1", "ClusterIPAlreadyAllocated", "")],
        ),
    ],
)
def test_plan(services: list[Object], objects: list[Object], steps: list[tuple[str, str, str]]) -> None:
    found = plan(services, objects, NOW)
    did = [(s.address, s.reason, "create" if s.create else "delete" if s.delete else "") for s in found]
    assert did == steps
