"""The Service ``default/kubernetes`` and its endpoints: how pods find the API servers.

Each server keeps an identity Lease in ``kube-system`` that also says at which address it is to be reached; the endpoints are
the addresses of all servers whose lease is fresh. So several servers on one store agree without talking to each other, and
one that dies drops out.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import socket
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apiserver.registry.facade import Registries
from kubeling.api import errors
from kubeling.api.meta import Object, annotations_of, labels_of, name_of, parse_time, rfc3339_micro, utcnow
from kubeling.api.resource import Resource
from kubeling.api.resources import ENDPOINT_SLICES, ENDPOINTS, LEASES, SERVICES

_LOG = logging.getLogger(__name__)
_NAMESPACE, _NAME = "default", "kubernetes"
_LEASE_NAMESPACE = "kube-system"
_IDENTITY = "apiserver.kubernetes.io/identity"
_ADDRESS = "kubeling.dev/advertise-address"
_INTERVAL = 10.0
_LEASE_SECONDS = 3600
_FRESH = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """``service_ip``: the first address of the service range; ``address`` and ``port``: where this server is reached
    (an empty address: pods cannot reach it, and no endpoint is published)."""

    service_ip: str
    address: str
    port: int
    hostname: str
    service_port: int = 443


def reachable_address(address: str) -> str:
    """The address itself, or this host's own for one that pods cannot reach (loopback, any); empty when it has none.

    The kernel is asked which address it would send from; nothing is sent.
    """
    parsed = ipaddress.ip_address(address)
    if not parsed.is_loopback and not parsed.is_unspecified:
        return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        own = str(probe.getsockname()[0])
    return "" if ipaddress.ip_address(own).is_loopback else own


def family(address: str) -> str:
    return f"IPv{ipaddress.ip_address(address).version}"


def wanted_service(settings: ServiceSettings) -> Object:
    port = {"name": "https", "protocol": "TCP", "port": settings.service_port, "targetPort": settings.port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": _NAME,
            "namespace": _NAMESPACE,
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": settings.service_ip,
            "clusterIPs": [settings.service_ip],
            "ipFamilies": [family(settings.service_ip)],
            "ipFamilyPolicy": "SingleStack",
            "ports": [port],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }


def wanted_endpoints(addresses: Sequence[str], port: int) -> Object:
    subset = {
        "addresses": [{"ip": address} for address in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": _NAME,
            "namespace": _NAMESPACE,
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [subset] if addresses else [],
    }


def wanted_slice(addresses: Sequence[str], port: int) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": _NAME,
            "namespace": _NAMESPACE,
            "labels": {"kubernetes.io/service-name": _NAME},
        },
        "addressType": family(addresses[0]) if addresses else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def live_addresses(leases: Iterable[Object], own: str, now: datetime) -> list[str]:
    """The addresses of the servers whose lease was renewed lately, this one's always among them."""
    found = {own} if own else set()
    for lease in leases:
        address = annotations_of(lease).get(_ADDRESS)
        if address and labels_of(lease).get(_IDENTITY) == "kube-apiserver" and _age(lease, now) < _FRESH:
            found.add(address)
    wanted = family(own) if own else "IPv4"
    return sorted((a for a in found if family(a) == wanted), key=lambda a: int(ipaddress.ip_address(a)))


def _age(lease: Object, now: datetime) -> timedelta:
    renewed = (lease.get("spec") or {}).get("renewTime")
    return now - parse_time(renewed) if renewed else timedelta.max


class KubernetesService:
    """``reconcile`` once brings everything level; ``run`` does so every ten seconds."""

    def __init__(
        self, registries: Registries, settings: ServiceSettings, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self._registries = registries
        self._settings = settings
        self._clock = clock
        where = f"{settings.hostname}/{settings.address}:{settings.port}"
        self._identity = "apiserver-" + hashlib.sha256(where.encode()).hexdigest()[:26]
        self._holder = f"{self._identity}_{uuid.uuid4()}"

    async def run(self) -> None:
        """Forever; a failure is logged and tried again."""
        while True:
            try:
                await self.reconcile()
            except errors.StatusError as error:
                _LOG.warning("cannot publish the API server's endpoint", extra={"error": error.message})
            await asyncio.sleep(_INTERVAL)

    async def reconcile(self) -> None:
        """Raises ``StatusError``."""
        now = self._clock()
        await self._renew(now)
        await self._publish(live_addresses(self._leases(), self._settings.address, now))

    async def withdraw(self) -> None:
        """Takes this server out: called when it stops. Raises ``StatusError``."""
        try:
            await self._registries.of(LEASES).delete(self._identity, _LEASE_NAMESPACE)
        except errors.StatusError as error:
            if not errors.is_not_found(error):
                raise
        own = self._settings.address
        others = [lease for lease in self._leases() if name_of(lease) != self._identity]
        left = [a for a in live_addresses(others, own, self._clock()) if a != own]
        if left:
            await self._publish(left)

    def _leases(self) -> list[Object]:
        return self._registries.of(LEASES).cached_list(_LEASE_NAMESPACE)

    async def _renew(self, now: datetime) -> None:
        lease: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._identity,
                "namespace": _LEASE_NAMESPACE,
                "labels": {_IDENTITY: "kube-apiserver", "kubernetes.io/hostname": self._settings.hostname},
                "annotations": {_ADDRESS: self._settings.address} if self._settings.address else {},
            },
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": _LEASE_SECONDS,
                "renewTime": rfc3339_micro(now),
            },
        }
        await self._ensure(LEASES, lease, ("spec",), _LEASE_NAMESPACE)
        for other in self._leases():
            stale = (
                labels_of(other).get(_IDENTITY) == "kube-apiserver"
                and _age(other, now).total_seconds() > _LEASE_SECONDS
            )
            if stale and name_of(other) != self._identity:
                await self._registries.of(LEASES).delete(name_of(other), _LEASE_NAMESPACE)

    async def _publish(self, addresses: Sequence[str]) -> None:
        settings = self._settings
        if self._registries.of(SERVICES).cached(_NAME, _NAMESPACE) is None:
            await self._ensure(SERVICES, wanted_service(settings), ())
        else:
            await self._registries.of(SERVICES).update(_NAME, self._corrected_ports, _NAMESPACE)
        if not addresses:
            return
        await self._ensure(ENDPOINTS, wanted_endpoints(addresses, settings.port), ("subsets",))
        await self._ensure(
            ENDPOINT_SLICES, wanted_slice(addresses, settings.port), ("addressType", "endpoints", "ports")
        )

    def _corrected_ports(self, stored: Object) -> Object | None:
        """The Service with the right port, whatever someone made of it."""
        wanted = wanted_service(self._settings)["spec"]["ports"]
        present = (stored.get("spec") or {}).get("ports") or []
        if present and all(present[0].get(k) == v for k, v in wanted[0].items()) and len(present) == 1:
            return None
        return {**stored, "spec": {**stored["spec"], "ports": wanted}}

    async def _ensure(
        self, resource: Resource, wanted: Object, owned: Sequence[str], namespace: str = _NAMESPACE
    ) -> None:
        """Creates the object, or makes the fields that belong to the server what they should be."""
        registry = self._registries.of(resource)

        def corrected(stored: Object) -> Object | None:
            metadata: Object = dict(stored["metadata"])
            for field in ("labels", "annotations"):
                if wanted["metadata"].get(field):
                    metadata[field] = {**(metadata.get(field) or {}), **wanted["metadata"][field]}
            changed = {**stored, "metadata": metadata, **{f: wanted[f] for f in owned if f != "spec"}}
            if "spec" in owned:
                changed["spec"] = {**(stored.get("spec") or {}), **wanted["spec"]}
            return None if changed == stored else changed

        if registry.cached(name_of(wanted), namespace) is None:
            try:
                await registry.create(wanted)
                return
            except errors.StatusError as error:
                if not errors.is_already_exists(error):
                    raise
        await registry.update(name_of(wanted), corrected, namespace)
