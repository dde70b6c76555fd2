"""Node IPAM: parts of the pod ranges for nodes."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from controllers.nodeipam import CONTROLLER
from controllers.nodeipam.ranges import Exhausted, NodeRange, node_ranges
from controllers.options import Options
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import EVENTS, NODES
from kubeling.client.errors import StartError
from tests.unit.controllers.world import World


def test_parts_come_in_order_and_what_was_given_back_rests() -> None:
    made = NodeRange(ipaddress.ip_network("10.0.0.0/22"), 24)
    used: list[Any] = []
    for _ in range(3):
        used.append(made.next(used))
    assert [str(n) for n in used] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
    del used[0]
    used.append(made.next(used))
    assert str(used[-1]) == "10.0.3.0/24"
    used.append(made.next(used))
    assert str(used[-1]) == "10.0.0.0/24"
    with pytest.raises(Exhausted):
        made.next(used)


def test_what_overlaps_is_not_given_out() -> None:
    made = NodeRange(ipaddress.ip_network("10.0.0.0/16"), 24)
    assert str(made.next([ipaddress.ip_network("10.0.0.0/23"), ipaddress.ip_network("10.0.2.128/25")])) == "10.0.3.0/24"
    six = NodeRange(ipaddress.ip_network("fd00::/48"), 64)
    assert str(six.next([ipaddress.ip_network("fd00::/64"), ipaddress.ip_network("10.0.0.0/8")])) == "fd00:0:0:1::/64"


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ({"cluster_cidr": "10.0.0.0/16"}, [24]),
        ({"cluster_cidr": "fd00::/48"}, [64]),
        ({"cluster_cidr": "10.0.0.0/16,fd00::/56"}, [24, 64]),
        ({"cluster_cidr": "fd00::/56,10.0.0.0/16", "node_cidr_mask_size_ipv4": 26}, [64, 26]),
        ({"cluster_cidr": "10.0.0.0/16", "node_cidr_mask_size": 20}, [20]),
        ({"cluster_cidr": ""}, "--cluster-cidr is required"),
        ({"cluster_cidr": "10.0.0.0/16,10.1.0.0/16"}, "not configured as dual stack"),
        ({"cluster_cidr": "10.0.0.0/16,fd00::/56", "node_cidr_mask_size": 24}, "not allowed with dual-stack clusters"),
        ({"cluster_cidr": "10.0.0.0/16", "node_cidr_mask_size": 24, "node_cidr_mask_size_ipv4": 25}, "please unset it"),
        ({"cluster_cidr": "10.0.0.0/16", "node_cidr_mask_size_ipv6": 64}, "single-stack IPv4 cluster"),
        ({"cluster_cidr": "10.0.0.0/16", "node_cidr_mask_size": 12}, "must be less than or equal"),
        ({"cluster_cidr": "10.0.0.0/8", "node_cidr_mask_size": 28}, "the node CIDR size is too big"),
    ],
)
def test_flags(flags: dict[str, Any], sizes: list[int] | str) -> None:
    if isinstance(sizes, str):
        with pytest.raises(ValueError, match=sizes):
            node_ranges(Options(**flags))
    else:
        assert [r.size for r in node_ranges(Options(**flags))] == sizes


def node(name: str, *parts: str) -> Object:
    spec = {"podCIDR": parts[0], "podCIDRs": list(parts)} if parts else {}
    return {"metadata": {"name": name}, "spec": spec}


FLAGS: dict[str, Any] = {"allocate_node_cidrs": True, "cluster_cidr": "10.0.0.0/23,fd00::/56"}


async def test_each_node_gets_a_part_of_its_own_or_an_event() -> None:
    async with World(CONTROLLER, service_cluster_ip_range="10.96.0.0/16", **FLAGS) as w:
        w.api.create(NODES, node("old", "10.0.0.0/24", "fd00::/64"))
        for name in ("a", "b"):
            w.api.create(NODES, node(name))
        await w.settle()
        given = {name_of(n): n["spec"].get("podCIDRs") for n in w.api.all(NODES)}
        assert given["old"] == ["10.0.0.0/24", "fd00::/64"]
        assert sorted(map(str, given.values())) == sorted(
            map(str, [given["old"], ["10.0.1.0/24", "fd00:0:0:1::/64"], None])
        )
        loser = next(name for name, parts in given.items() if not parts)
        events = w.api.all(EVENTS)
        assert {(e["reason"], e["message"]) for e in events} == {
            ("CIDRNotAvailable", f"Node {loser} status is now: CIDRNotAvailable")
        }
        w.api.delete(NODES, "", "old")
        await w.settle()
        assert w.get(NODES, loser)["spec"]["podCIDR"] == "10.0.0.0/24"


async def test_without_the_flag_nothing_happens() -> None:
    async with World(CONTROLLER, cluster_cidr="10.0.0.0/16") as w:
        w.api.create(NODES, node("a"))
        await w.settle()
        assert w.get(NODES, "a")["spec"] == {}


async def test_wrong_flags_keep_the_manager_from_starting() -> None:
    with pytest.raises(StartError, match="cloud provider"):
        await World(CONTROLLER, cidr_allocator_type="CloudAllocator", **FLAGS).start()
