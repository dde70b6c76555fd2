"""How a pod range is cut into the nodes' parts. Pure, but for each range's memory of the part it gave out last.

Source: pkg/controller/nodeipam/ipam/cidrset.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Protocol

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LARGEST_STEP = 16  # bits between the range's mask and a node's
DEFAULT_SIZES = {4: 24, 6: 64}


class Flags(Protocol):
    """The options that decide the ranges."""

    cluster_cidr: str
    node_cidr_mask_size: int
    node_cidr_mask_size_ipv4: int
    node_cidr_mask_size_ipv6: int


class Exhausted(Exception):
    """Every part of a range has a node."""

    def __init__(self) -> None:
        super().__init__("CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range")


class NodeRange:
    """One pod range. Parts are given out in order, going round: one that was given back rests for a while."""

    def __init__(self, network: Network, size: int) -> None:
        if size < network.prefixlen:
            raise ValueError(
                "Controller: Invalid --cluster-cidr, mask size of cluster CIDR must be less than or equal to "
                "--node-cidr-mask-size configured for CIDR family"
            )
        if size - network.prefixlen > LARGEST_STEP:
            raise ValueError("New CIDR set failed; the node CIDR size is too big")
        self.network, self.size = network, size
        self._count = 1 << (size - network.prefixlen)
        self._next = 0

    def part(self, index: int) -> Network:
        step = 1 << (self.network.max_prefixlen - self.size)
        return type(self.network)((int(self.network.network_address) + index * step, self.size))

    def next(self, used: Iterable[Network]) -> Network:
        """The next part that overlaps none of those in use. Raises Exhausted."""
        taken = self._indexes(used)
        for offset in range(self._count):
            index = (self._next + offset) % self._count
            if index not in taken:
                self._next = (index + 1) % self._count
                return self.part(index)
        raise Exhausted

    def _indexes(self, used: Iterable[Network]) -> set[int]:
        step = 1 << (self.network.max_prefixlen - self.size)
        first, last = int(self.network.network_address), int(self.network.broadcast_address)
        taken: set[int] = set()
        for other in used:
            low, high = int(other.network_address), int(other.broadcast_address)
            if other.version == self.network.version and low <= last and high >= first:
                taken.update(range((max(low, first) - first) // step, (min(high, last) - first) // step + 1))
        return taken


def networks(text: str) -> list[Network]:
    """The CIDRs of a flag, at most one a family. Raises ValueError."""
    found = [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]
    if len(found) > 2:
        raise ValueError(f"length of clusterCIDRs is:{len(found)} more than max allowed of 2")
    if len(found) == 2 and found[0].version == found[1].version:
        raise ValueError(
            "len of ClusterCIDRs==2 and they are not configured as dual stack (at least one from each IPFamily"
        )
    return found


def node_ranges(flags: Flags) -> list[NodeRange]:
    """The ranges that the flags describe. Raises ValueError with upstream's text."""
    found = networks(flags.cluster_cidr)
    if not found:
        raise ValueError("--cluster-cidr is required with --allocate-node-cidrs")
    own = {4: flags.node_cidr_mask_size_ipv4, 6: flags.node_cidr_mask_size_ipv6}
    if len(found) > 1:
        if flags.node_cidr_mask_size:
            raise ValueError("usage of --node-cidr-mask-size is not allowed with dual-stack clusters")
    elif flags.node_cidr_mask_size:
        if any(own.values()):
            raise ValueError(
                "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if --node-cidr-mask-size "
                "is set. For dual-stack clusters please unset it and use IPFamily specific flags"
            )
        own = dict.fromkeys(own, flags.node_cidr_mask_size)
    else:
        version, other = (found[0].version, 10 - found[0].version)
        if own[other]:
            raise ValueError(
                f"usage of --node-cidr-mask-size-ipv{other} is not allowed for a single-stack IPv{version} cluster"
            )
    return [NodeRange(n, own[n.version] or DEFAULT_SIZES[n.version]) for n in found]
