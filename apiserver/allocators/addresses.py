"""Cluster IPs: an IPAddress object an address, created by whoever gets it first."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Sequence

from apiserver.allocators.ranges import Network, dynamic_addresses, why_not
from apiserver.registry.facade import Registries
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, condition_of, is_deleting, name_of
from kubeling.api.resources import IP_ADDRESSES, SERVICE_CIDRS

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


def usable_networks(cidrs: Iterable[Object]) -> list[Network]:
    """The networks of the ServiceCIDRs that addresses may come from, oldest first, each once.

    A ServiceCIDR without a condition counts as ready: no controller may be running.
    """
    found: dict[Network, None] = {}
    for cidr in sorted(cidrs, key=lambda c: (c["metadata"].get("creationTimestamp") or "", name_of(c))):
        ready = condition_of(cidr, "Ready")
        if not is_deleting(cidr) and (ready is None or ready.get("status") == "True"):
            for text in cidr["spec"].get("cidrs") or ():
                found[ipaddress.ip_network(text, strict=False)] = None
    return list(found)


class ClusterIPs:
    """Gives out addresses of every ServiceCIDR that is ready and stays.

    ``ranges`` are the configured ones: they say which families there are, the default one first, and hold as long as the
    cluster has no ServiceCIDR.
    """

    def __init__(self, registries: Registries, ranges: Sequence[Network]) -> None:
        self._registries = registries
        self._configured = tuple(ranges)
        self.families = tuple("IPv6" if r.version == 6 else "IPv4" for r in ranges)
        self._random = random.Random()

    async def take(self, address: str, owner: Key, *, dry_run: bool = False) -> None:
        """Takes one address. Raises AddressError."""
        ip = ipaddress.ip_address(address)
        network = next((n for n in self._networks(family_of(address)) if ip in n), None)
        if network is None:
            raise AddressError("the provided network does not match the current range")
        why = why_not(network, address)
        if why:
            raise AddressError(why)
        if not await self._try(address, owner, dry_run):
            raise AddressError("provided IP is already allocated")

    async def next(self, family: str, owner: Key, *, dry_run: bool = False) -> str:
        """Takes a free address of a family. Raises AddressError."""
        for network in self._networks(family):
            for address in dynamic_addresses(network, self._random):
                if await self._try(address, owner, dry_run):
                    return address
        raise AddressError("range is full")

    def _networks(self, family: str) -> list[Network]:
        cidrs = self._registries.of(SERVICE_CIDRS).cached_list()
        networks = usable_networks(cidrs) if cidrs else self._configured
        return [n for n in networks if f"IPv{n.version}" == family]

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
