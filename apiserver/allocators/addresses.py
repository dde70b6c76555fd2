"""Cluster IPs: an IPAddress object an address, created by whoever gets it first."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Sequence

from apiserver.allocators.ranges import Network, dynamic_addresses, why_not
from apiserver.registry.facade import Registries
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object
from kubeling.api.resources import IP_ADDRESSES

_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
_MANAGER_LABEL = "ipaddress.kubernetes.io/managed-by"
_MANAGER = "ipallocator.k8s.io"


class AddressError(Exception):
    """An address cannot be given out; the message is upstream's."""


def family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def address_object(address: str, owner: Key) -> Object:
    return {
        "apiVersion": IP_ADDRESSES.api_version,
        "kind": IP_ADDRESSES.kind,
        "metadata": {"name": address, "labels": {_FAMILY_LABEL: family_of(address), _MANAGER_LABEL: _MANAGER}},
        "spec": {"parentRef": {"resource": "services", "namespace": owner.namespace, "name": owner.name}},
    }


class ClusterIPs:
    """Gives out addresses of the service ranges, the first of which is the cluster's default family."""

    def __init__(self, registries: Registries, ranges: Sequence[Network]) -> None:
        self._registries = registries
        self._ranges = {("IPv6" if r.version == 6 else "IPv4"): r for r in ranges}
        self.families = tuple(self._ranges)
        self._random = random.Random()

    async def take(self, address: str, owner: Key, *, dry_run: bool = False) -> None:
        """Takes one address. Raises AddressError."""
        network = self._ranges[family_of(address)]
        why = why_not(network, address)
        if why:
            raise AddressError(why)
        if not await self._try(address, owner, dry_run):
            raise AddressError("provided IP is already allocated")

    async def next(self, family: str, owner: Key, *, dry_run: bool = False) -> str:
        """Takes a free address of a family. Raises AddressError."""
        for address in dynamic_addresses(self._ranges[family], self._random):
            if await self._try(address, owner, dry_run):
                return address
        raise AddressError("range is full")

    async def _try(self, address: str, owner: Key, dry_run: bool) -> bool:
        registry = self._registries.of(IP_ADDRESSES)
        if registry.cached(address) is not None:
            return False
        if dry_run:
            return True
        try:
            await registry.create(address_object(str(ipaddress.ip_address(address)), owner))
        except StatusError as err:
            if errors.is_already_exists(err):
                return False
            raise AddressError(err.message) from None
        return True

    async def release(self, address: str) -> None:
        """Gives an address back; harmless when nobody has it."""
        try:
            await self._registries.of(IP_ADDRESSES).delete(address)
        except StatusError as err:
            if not errors.is_not_found(err):
                raise
