"""Service: defaults, strategy and columns; ``service_validation``, ``service_update`` and ``service_fields`` hold its rules.

Addresses and node ports are allocated by ``apiserver.allocators``; here are only the rules that need no allocator.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.core.service_fields import (
    CLUSTER_IP,
    EXTERNAL_NAME,
    LOAD_BALANCER,
    drop_type_dependent,
    externally_accessible,
    keep_allocated,
    sync_cluster_ips,
)
from apiserver.kinds.core.service_update import validate_load_balancer_status, validate_service_update
from apiserver.kinds.core.service_validation import validate_service
from apiserver.kinds.core.service_warnings import service_warnings
from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column, labels_text
from apiserver.kinds.strategies import StatusStrategy, default_to, keep
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import names
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import SERVICES

_CLIENT_IP_TIMEOUT = 10800
"""Seconds that client IP affinity lasts unless the service says otherwise."""


class ServiceStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_to(spec, "sessionAffinity", "None")
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        elif spec["sessionAffinity"] == "ClientIP":
            config = spec.get("sessionAffinityConfig") or {}
            client_ip = config.get("clientIP") or {}
            if client_ip.get("timeoutSeconds") is None:
                spec["sessionAffinityConfig"] = {
                    **config,
                    "clientIP": {**client_ip, "timeoutSeconds": _CLIENT_IP_TIMEOUT},
                }
        default_to(spec, "type", CLUSTER_IP)
        for port in spec.get("ports") or ():
            default_to(port, "protocol", "TCP")
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        if externally_accessible(spec):
            default_to(spec, "externalTrafficPolicy", "Cluster")
        if spec["type"] != EXTERNAL_NAME:
            default_to(spec, "internalTrafficPolicy", "Cluster")
        balancer = obj.setdefault("status", {}).setdefault("loadBalancer", {})
        if spec["type"] == LOAD_BALANCER:
            default_to(spec, "allocateLoadBalancerNodePorts", True)
            for ingress in balancer.get("ingress") or ():
                if ingress.get("ip"):
                    default_to(ingress, "ipMode", "VIP")

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"loadBalancer": {}}
        sync_cluster_ips(obj["spec"], None)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")
        spec, before = obj["spec"], old.get("spec") or {}
        keep_allocated(spec, before)
        sync_cluster_ips(spec, before)
        drop_type_dependent(spec, before)

    def validate_name(self, name: str) -> list[str]:
        return names.is_dns1123_label(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_service(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_service_update(obj, old)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return service_warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return service_warnings(obj)


class ServiceStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_load_balancer_status(obj["status"].get("loadBalancer") or {}, obj.get("spec") or {})


def _external_ips(obj: Object) -> str:
    """The EXTERNAL-IP cell: external addresses, load balancer ingress, the external name."""
    spec, status = obj.get("spec", {}), obj.get("status", {})
    external = list(spec.get("externalIPs") or ())
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(external) or NONE
        case "LoadBalancer":
            ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
            found = sorted({i.get("ip") or i.get("hostname") for i in ingress if i.get("ip") or i.get("hostname")})
            return ",".join([*found, *external]) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
    return "<unknown>"


def _ports(ports: list[Object]) -> str:
    def one(port: Object) -> str:
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port.get('port', 0)}{node_port}/{port.get('protocol', '')}"

    return ",".join(one(p) for p in ports) or NONE


def _row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return [
        name_of(obj),
        spec.get("type", ""),
        addresses[0] or NONE,
        _external_ips(obj),
        _ports(spec.get("ports") or []),
        age_of(obj, now),
        labels_text(spec.get("selector")),
    ]


_SPEC = "core.v1.ServiceSpec:"
_COLUMNS = (
    NAME,
    column("Type", _SPEC + "type"),
    column("Cluster-IP", _SPEC + "clusterIP"),
    column("External-IP", _SPEC + "externalIPs"),
    column("Port(s)", _SPEC + "ports"),
    AGE,
    column("Selector", _SPEC + "selector", priority=1),
)

_STRATEGY = ServiceStrategy()
SERVICE = Kind(
    SERVICES,
    _STRATEGY,
    Printer(_COLUMNS, _row),
    status=ServiceStatusStrategy(_STRATEGY),
    field_selectors={
        "spec.clusterIP": lambda obj: str(obj.get("spec", {}).get("clusterIP", "")),
        "spec.type": lambda obj: str(obj.get("spec", {}).get("type", "")),
    },
    key="services/specs",
    returns_deleted=True,
)
