"""What the DNS server looks at when it answers: Services, EndpointSlices and namespaces, by the keys that names give."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubeling.api.meta import Key, Object, labels_of, name_of, namespace_of
from kubeling.client.store import Store

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
BY_IP = "ip"
BY_SERVICE = "service"


class Snapshot(Protocol):
    """Read-only; what comes out must not be changed."""

    def has_namespace(self, name: str) -> bool: ...

    def service(self, namespace: str, name: str) -> Object | None: ...

    def slices(self, namespace: str, service: str) -> list[Object]:
        """The EndpointSlices of a service."""

    def services_at(self, ip: str) -> list[Object]:
        """The services that have this cluster IP."""

    def slices_at(self, ip: str) -> list[Object]:
        """The EndpointSlices with a ready endpoint at this address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A ready address of a slice, with the label that names it below its service."""

    ip: str
    label: str


def ready_endpoints(piece: Object) -> Iterator[Endpoint]:
    """The endpoints of a slice that may be published: ready ones (not-ready pods that are to be published count as ready there)."""
    for entry in piece.get("endpoints") or ():
        if (entry.get("conditions") or {}).get("ready") is not False:
            for address in entry.get("addresses") or ():
                yield Endpoint(address, entry.get("hostname") or dashed(address))


def dashed(address: str) -> str:
    """``10.244.0.5`` as a label: ``10-244-0-5``."""
    return address.replace(".", "-").replace(":", "-")


def cluster_ips(service: Mapping[str, Any]) -> list[str]:
    """The addresses of a service; empty for headless ones and ExternalName."""
    spec = service.get("spec") or {}
    listed = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return [ip for ip in listed if ip and ip != "None"]


def _service_ips(service: Object) -> Iterable[Hashable]:
    return (str(ipaddress.ip_address(ip)) for ip in cluster_ips(service))


def _slice_service(piece: Object) -> Iterable[Hashable]:
    owner = labels_of(piece).get(SERVICE_NAME_LABEL)
    if owner:
        yield Key(namespace_of(piece), owner)


def _slice_ips(piece: Object) -> Iterable[Hashable]:
    return (e.ip for e in ready_endpoints(piece))


SERVICE_INDEXERS = {BY_IP: _service_ips}
SLICE_INDEXERS = {BY_SERVICE: _slice_service, BY_IP: _slice_ips}


class StoreSnapshot:
    """The snapshot that informers' stores are; they need the indexers above."""

    def __init__(self, services: Store, slices: Store, namespaces: Store) -> None:
        self._services = services
        self._slices = slices
        self._namespaces = namespaces

    @classmethod
    def of(cls, services: Iterable[Object], slices: Iterable[Object], namespaces: Iterable[Object]) -> StoreSnapshot:
        """A snapshot of these objects."""
        stores = Store(SERVICE_INDEXERS), Store(SLICE_INDEXERS), Store()
        for store, objects in zip(stores, (services, slices, namespaces), strict=True):
            for obj in objects:
                store.put(obj)
        return cls(*stores)

    def has_namespace(self, name: str) -> bool:
        return self._namespaces.get(Key("", name)) is not None

    def service(self, namespace: str, name: str) -> Object | None:
        return self._services.get(Key(namespace, name))

    def slices(self, namespace: str, service: str) -> list[Object]:
        return sorted(self._slices.by_index(BY_SERVICE, Key(namespace, service)), key=name_of)

    def services_at(self, ip: str) -> list[Object]:
        return self._services.by_index(BY_IP, ip)

    def slices_at(self, ip: str) -> list[Object]:
        return self._slices.by_index(BY_IP, ip)
