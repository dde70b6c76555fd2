"""Names of the cluster's domain to what stands behind them. Pure.

Source of the scheme: the Kubernetes DNS-based service discovery specification 1.1.0; where it leaves a choice, CoreDNS' one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from clusterdns.snapshot import SERVICE_NAME_LABEL, Endpoint, Snapshot, cluster_ips, ready_endpoints
from kubeling.api.meta import Object, labels_of, name_of, namespace_of

SCHEMA_VERSION = "1.1.0"
NO_PORT = -1  # a slice without ports still has addresses


@dataclass(frozen=True, slots=True)
class Target:
    """An address behind a name: ``host`` is its own name below the domain (``web.default.svc``), ``port`` NO_PORT without one."""

    ip: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means: targets, or another name (``alias``), or a text, or nothing that has records of its own."""

    targets: tuple[Target, ...] = ()
    alias: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A name taken apart: the labels before ``svc`` or ``pod``."""

    kind: str
    namespace: str = ""
    service: str = ""
    endpoint: str = ""
    port: str = ""
    protocol: str = ""


EMPTY = Found()


@dataclass(frozen=True)
class Lookup:
    """Finds names given as labels relative to the domain, lower case, outermost first (``["web", "default", "svc"]``)."""

    snapshot: Snapshot
    domain: str = field(default="cluster.local")

    def find(self, labels: list[str]) -> Found | None:
        """None when there is no such name."""
        if labels in ([], ["svc"], ["pod"]):
            return EMPTY
        if labels == ["dns-version"]:
            return Found(text=SCHEMA_VERSION)
        wanted = _parse(labels)
        if wanted is None or not self.snapshot.has_namespace(wanted.namespace):
            return None
        if not wanted.service:
            return EMPTY
        return self._pod(wanted) if wanted.kind == "pod" else self._service(wanted)

    def _pod(self, wanted: _Wanted) -> Found | None:
        text = wanted.service
        plain = text.replace("-", ".") if text.count("-") == 3 and "--" not in text else text.replace("-", ":")
        try:
            ip = str(ipaddress.ip_address(plain))
        except ValueError:
            return None
        return Found((Target(ip, f"{text}.{wanted.namespace}.pod", NO_PORT),)) if not wanted.endpoint else None

    def _service(self, wanted: _Wanted) -> Found | None:
        service = self.snapshot.service(wanted.namespace, wanted.service)
        if service is None:
            return None
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            return Found(alias=spec.get("externalName") or "") if not wanted.endpoint else None
        if wanted.endpoint or not cluster_ips(service):
            targets = tuple(self._endpoints(wanted))
        else:
            targets = tuple(_service_targets(service, wanted))
        return Found(targets) if targets else None

    def _endpoints(self, wanted: _Wanted) -> Iterator[Target]:
        for piece in self.snapshot.slices(wanted.namespace, wanted.service):
            numbers = [
                port.get("port") or NO_PORT
                for port in piece.get("ports") or [{"port": NO_PORT}]
                if _matches(wanted, port.get("name") or "", port.get("protocol") or "TCP")
            ]
            for endpoint in ready_endpoints(piece):
                if wanted.endpoint in ("", endpoint.label.lower()):
                    host = _endpoint_host(endpoint, wanted.namespace, wanted.service)
                    yield from (Target(endpoint.ip, host, number) for number in numbers)

    def names_of(self, ip: str) -> list[str]:
        """The names that an address has below the domain: its service's, or those of the endpoints there."""
        services = [f"{name_of(s)}.{namespace_of(s)}.svc" for s in self.snapshot.services_at(ip)]
        return services or [
            _endpoint_host(endpoint, namespace_of(piece), labels_of(piece)[SERVICE_NAME_LABEL])
            for piece in self.snapshot.slices_at(ip)
            if SERVICE_NAME_LABEL in labels_of(piece)
            for endpoint in ready_endpoints(piece)
            if endpoint.ip == ip
        ]


def _endpoint_host(endpoint: Endpoint, namespace: str, service: str) -> str:
    return f"{endpoint.label}.{service}.{namespace}.svc"


def _service_targets(service: Object, wanted: _Wanted) -> Iterator[Target]:
    host = f"{name_of(service)}.{namespace_of(service)}.svc"
    ports = (service.get("spec") or {}).get("ports") or [{"port": NO_PORT}]
    for port in ports:
        if _matches(wanted, port.get("name") or "", port.get("protocol") or "TCP"):
            yield from (Target(ip, host, port["port"]) for ip in cluster_ips(service))


def _matches(wanted: _Wanted, name: str, protocol: str) -> bool:
    return wanted.port in ("", name.lower()) and wanted.protocol in ("", protocol.lower())


def _parse(labels: list[str]) -> _Wanted | None:
    """``[[_port, _proto | endpoint] service] namespace svc|pod``; None for any other shape."""
    *rest, kind = labels
    if kind not in ("svc", "pod") or not 1 <= len(rest) <= 4:
        return None
    namespace, *rest = reversed(rest)
    if not rest:
        return _Wanted(kind, namespace)
    service, *rest = rest
    match list(reversed(rest)):
        case []:
            return _Wanted(kind, namespace, service)
        case [endpoint] if not endpoint.startswith("_"):
            return _Wanted(kind, namespace, service, endpoint)
        case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
            return _Wanted(kind, namespace, service, port=port[1:], protocol=protocol[1:])
    return None
