"""Fields of a Service that depend on each other: kept, synchronised and dropped when it changes.

All functions change ``spec`` in place and never the old one. Source: ``normalizeClusterIPs``, ``patchAllocatedValues`` and
``dropTypeDependentFields`` of pkg/registry/core/service. They are safe to run before and after allocation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLUSTER_IP, NODE_PORT, LOAD_BALANCER, EXTERNAL_NAME = "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"
HEADLESS = "None"

Spec = dict[str, Any]
OldSpec = Mapping[str, Any]


def needs_cluster_ip(spec: OldSpec) -> bool:
    return spec.get("type") in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER)


def needs_node_port(spec: OldSpec) -> bool:
    if spec.get("type") == LOAD_BALANCER:
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == NODE_PORT


def needs_health_check(spec: OldSpec) -> bool:
    """A load balancer that sends traffic only to nodes with endpoints asks each node whether it has some."""
    return spec.get("type") == LOAD_BALANCER and spec.get("externalTrafficPolicy") == "Local"


def externally_accessible(spec: OldSpec) -> bool:
    kind = spec.get("type")
    return kind in (NODE_PORT, LOAD_BALANCER) or (kind == CLUSTER_IP and bool(spec.get("externalIPs")))


def is_headless(spec: OldSpec) -> bool:
    return list(spec.get("clusterIPs") or ()) == [HEADLESS]


def _same(new: OldSpec, old: OldSpec, field: str) -> bool:
    return (new.get(field) or None) == (old.get(field) or None)


def sync_cluster_ips(spec: Spec, old: OldSpec | None) -> None:
    """``clusterIP`` and ``clusterIPs[0]`` are one value: who changes one of them means both."""
    if old is None:
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        return
    same_one, same_list = _same(spec, old, "clusterIP"), _same(spec, old, "clusterIPs")
    if not same_one and (same_list or not spec.get("clusterIPs")):
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        else:
            spec.pop("clusterIPs", None)
    elif same_one and not same_list and not spec.get("clusterIPs"):
        spec.pop("clusterIP", None)


def keep_allocated(spec: Spec, old: OldSpec) -> None:
    """Values that the server gave out stay where the client left them out."""
    if needs_cluster_ip(spec) and needs_cluster_ip(old):
        if not spec.get("clusterIP") and old.get("clusterIP"):
            spec["clusterIP"] = old["clusterIP"]
        if not spec.get("clusterIPs") and _same(spec, old, "clusterIP") and old.get("clusterIPs"):
            spec["clusterIPs"] = list(old["clusterIPs"])
    if needs_node_port(spec) and needs_node_port(old):
        _keep_node_ports(spec, old)
    if needs_health_check(spec) and needs_health_check(old) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old.get("healthCheckNodePort", 0)


def _keep_node_ports(spec: Spec, old: OldSpec) -> None:
    ports = spec.get("ports") or ()
    used = {p["nodePort"] for p in ports if p.get("nodePort")}
    given = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in old.get("ports") or ()}
    for port in ports:
        before = given.get((port.get("protocol"), port.get("port")))
        if not port.get("nodePort") and before and before not in used:
            port["nodePort"] = before
            used.add(before)


def drop_type_dependent(spec: Spec, old: OldSpec) -> None:
    """What the old type needed and the new one forbids goes, if the client did not touch it."""
    if needs_cluster_ip(old) and not needs_cluster_ip(spec):
        if _same(spec, old, "clusterIPs"):
            _drop(spec, "clusterIP", "clusterIPs")
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if _same(spec, old, field):
                _drop(spec, field)
    if needs_node_port(old) and not needs_node_port(spec) and _node_ports(spec) == _node_ports(old):
        for port in spec.get("ports") or ():
            _drop(port, "nodePort")
    conditions = (
        ("healthCheckNodePort", needs_health_check),
        ("allocateLoadBalancerNodePorts", _is_load_balancer),
        ("loadBalancerClass", _is_load_balancer),
        ("externalTrafficPolicy", externally_accessible),
        ("internalTrafficPolicy", needs_cluster_ip),
    )
    for field, needs in conditions:
        if needs(old) and not needs(spec) and _same(spec, old, field):
            _drop(spec, field)


def _is_load_balancer(spec: OldSpec) -> bool:
    return spec.get("type") == LOAD_BALANCER


def _node_ports(spec: OldSpec) -> set[int]:
    """Upstream compares them as sets."""
    return {p.get("nodePort") or 0 for p in spec.get("ports") or ()}


def _drop(obj: Spec, *names: str) -> None:
    for name in names:
        obj.pop(name, None)
