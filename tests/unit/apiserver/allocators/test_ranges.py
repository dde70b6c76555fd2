from __future__ import annotations

import ipaddress
import random

import pytest

from apiserver.allocators.ports import NodePorts, PortError
from apiserver.allocators.ranges import dynamic_addresses, dynamic_ports, parse_ports, why_not
from apiserver.storage.memory import MemoryStorage

RNG = random.Random(1)


def test_every_address_once_and_the_lower_part_last() -> None:
    network = ipaddress.ip_network("10.0.0.0/24")
    found = list(dynamic_addresses(network, RNG))
    assert len(found) == len(set(found)) == 254
    assert {ipaddress.ip_address(a) for a in found[-16:]} == {network[i] for i in range(1, 17)}


def test_every_port_once_and_the_lower_part_last() -> None:
    found = list(dynamic_ports(30000, 32767, RNG))
    assert len(set(found)) == 2768 and set(found[-86:]) == set(range(30000, 30086))


@pytest.mark.parametrize("text", ["x", "5-1", "0-10", "1-70000"])
def test_no_port_ranges(text: str) -> None:
    with pytest.raises(ValueError):
        parse_ports(text)


@pytest.mark.parametrize(("address", "good"), [("10.96.0.5", True), ("10.97.0.5", False), ("10.96.0.0", False)])
def test_asked_for_addresses(address: str, good: bool) -> None:
    assert (why_not(ipaddress.ip_network("10.96.0.0/16"), address) == "") is good


async def test_two_servers_never_give_one_port_twice() -> None:
    storage = MemoryStorage()
    one, other = NodePorts(storage, 30000, 30009), NodePorts(storage, 30000, 30009)
    given = [await (one, other)[i % 2].next("ns/s") for i in range(10)]
    assert len(set(given)) == 10
    with pytest.raises(PortError, match="range is full"):
        await one.next("ns/s")
    await other.release(given[3])
    assert await one.next("ns/s", dry_run=True) == given[3]
    await one.take(given[3], "ns/s")
    with pytest.raises(PortError, match="already allocated"):
        await other.take(given[3], "ns/t")
    with pytest.raises(PortError, match="not in the valid range"):
        await other.take(80, "ns/t")
