"""What the proxy knows of Services and their endpoints: pure values, read from API objects.

Which services are proxied and which endpoints take traffic follows upstream's rules
(https://kubernetes.io/docs/reference/networking/virtual-ips/): headless, ExternalName and foreign-proxied services are
left alone; terminating endpoints that still serve are the fallback when no endpoint is ready.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object, labels_of, name_of, namespace_of

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_DEFAULT_AFFINITY_SECONDS = 10800


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address and port behind a service port, on a node, with its conditions."""

    ip: str
    port: int
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one service with everything that decides where its traffic goes.

    ``affinity_seconds`` is 0 without session affinity. ``external_ips`` are spec.externalIPs, ``ingress_ips`` those of the load
    balancer's status; ``source_ranges`` restrict the latter.
    """

    namespace: str
    name: str
    port_name: str
    protocol: str
    port: int
    cluster_ip: str
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    ingress_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_port: int = 0
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def path(self) -> str:
        """Names this port in chain names: ``namespace/service/protocol/port``."""
        return f"{self.namespace}/{self.name}/{self.protocol}/{self.port_name or self.port}"

    @property
    def external(self) -> bool:
        """Whether traffic from outside the cluster has a way in."""
        return bool(self.node_port or self.external_ips or self.ingress_ips)


def usable(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The endpoints that take new connections: those ready, else those that terminate but still serve."""
    known = tuple(endpoints)
    ready = tuple(e for e in known if e.ready)
    return ready or tuple(e for e in known if e.serving and e.terminating)


def on_nodes(endpoints: Iterable[Endpoint], nodes: frozenset[str]) -> tuple[Endpoint, ...]:
    return tuple(e for e in endpoints if e.node in nodes)


def service_ports(services: Iterable[Object], slices: Iterable[Object]) -> list[ServicePort]:
    """Every proxied port of every service, sorted by path, each with its endpoints."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for piece in slices:
        owner = labels_of(piece).get(SERVICE_NAME_LABEL)
        if owner and piece.get("addressType") == "IPv4":
            by_service.setdefault((namespace_of(piece), owner), []).append(piece)
    found = [
        port
        for service in services
        if is_proxied(service)
        for port in _ports(service, by_service.get((namespace_of(service), name_of(service)), []))
    ]
    return sorted(found, key=lambda p: p.path)


def is_proxied(service: Object) -> bool:
    """Whether this proxy serves the service: it has an IPv4 cluster IP and no other proxy is asked for."""
    spec = service.get("spec") or {}
    if (
        spec.get("type") == "ExternalName"
        or PROXY_NAME_LABEL in labels_of(service)
        or HEADLESS_LABEL in labels_of(service)
    ):
        return False
    return bool(_cluster_ip(spec))


def _cluster_ip(spec: Mapping[str, Any]) -> str:
    candidates = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return next(iter(_ipv4(candidates)), "")


def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    """The valid IPv4 addresses or networks among those given; what is not valid is not ours to proxy."""
    valid = []
    for address in addresses:
        try:
            ipaddress.IPv4Network(address.strip(), strict=False)
        except ValueError:
            continue
        valid.append(address.strip())
    return tuple(valid)


def _affinity(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client.get("timeoutSeconds") or _DEFAULT_AFFINITY_SECONDS)


def _ingress_ips(service: Object) -> Iterable[str]:
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        return ()
    entries = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return (e["ip"] for e in entries if e.get("ip") and e.get("ipMode", "VIP") == "VIP")


def _ports(service: Object, slices: list[Object]) -> Iterable[ServicePort]:
    spec = service["spec"]
    external_local = spec.get("externalTrafficPolicy") == "Local"
    for port in spec.get("ports") or ():
        name, protocol = port.get("name") or "", (port.get("protocol") or "TCP").lower()
        yield ServicePort(
            namespace=namespace_of(service),
            name=name_of(service),
            port_name=name,
            protocol=protocol,
            port=int(port["port"]),
            cluster_ip=_cluster_ip(spec),
            node_port=int(port.get("nodePort") or 0),
            external_ips=_ipv4(spec.get("externalIPs") or ()),
            ingress_ips=_ipv4(_ingress_ips(service)),
            source_ranges=_ipv4(spec.get("loadBalancerSourceRanges") or ()),
            affinity_seconds=_affinity(spec),
            internal_local=spec.get("internalTrafficPolicy") == "Local",
            external_local=external_local,
            health_check_port=int(spec.get("healthCheckNodePort") or 0) if external_local else 0,
            endpoints=_endpoints(slices, name, protocol),
        )


def _endpoints(slices: list[Object], port_name: str, protocol: str) -> tuple[Endpoint, ...]:
    """The endpoints of one port over all slices, each address and port once: a ready mention wins over one that is not."""
    found: dict[tuple[str, int], Endpoint] = {}
    for piece in slices:
        number = _slice_port(piece, port_name, protocol)
        if number is None:
            continue
        for entry in piece.get("endpoints") or ():
            endpoint = _endpoint(entry, number)
            if endpoint is None:
                continue
            known = found.get((endpoint.ip, endpoint.port))
            if known is None or (endpoint.ready and not known.ready):
                found[endpoint.ip, endpoint.port] = endpoint
    return tuple(sorted(found.values()))


def _slice_port(piece: Object, name: str, protocol: str) -> int | None:
    for port in piece.get("ports") or ():
        if (
            (port.get("name") or "") == name
            and (port.get("protocol") or "TCP").lower() == protocol
            and port.get("port")
        ):
            return int(port["port"])
    return None


def _endpoint(entry: Mapping[str, Any], port: int) -> Endpoint | None:
    addresses = entry.get("addresses") or ()
    if not addresses:
        return None
    conditions = entry.get("conditions") or {}
    ready = _condition(conditions, "ready", True)
    return Endpoint(
        ip=addresses[0],
        port=port,
        node=entry.get("nodeName") or "",
        ready=ready,
        serving=_condition(conditions, "serving", ready),
        terminating=_condition(conditions, "terminating", False),
    )


def _condition(conditions: Mapping[str, Any], name: str, default: bool) -> bool:
    value = conditions.get(name)
    return default if value is None else bool(value)
