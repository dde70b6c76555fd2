"""From a service's pods to its endpoints. Pure.

Source of the rules: the EndpointSlice documentation and k8s.io/endpointslice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from controllers.lib.pods import is_finished, is_ready
from kubeling.api.meta import Object, is_deleting, labels_of, name_of, namespace_of, uid_of

ZONE = "topology.kubernetes.io/zone"
HEADLESS = "service.kubernetes.io/headless"


def pod_ips(pod: Mapping[str, Any]) -> list[str]:
    status = pod.get("status") or {}
    ips = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    return ips or ([status["podIP"]] if status.get("podIP") else [])


def belongs(pod: Mapping[str, Any], *, terminating: bool) -> bool:
    """True for pods with an address that have not finished; those being deleted only when asked for."""
    return not is_finished(pod) and bool(pod_ips(pod)) and (terminating or not is_deleting(pod))


def is_headless(service: Mapping[str, Any]) -> bool:
    return (service["spec"].get("clusterIP") or "") == "None"


def address_types(service: Mapping[str, Any]) -> list[str]:
    """IPv4, IPv6, or both, in the service's order."""
    families = service["spec"].get("ipFamilies")
    if families:
        return list(families)
    cluster_ip = service["spec"].get("clusterIP") or ""
    return ["IPv6"] if ":" in cluster_ip else ["IPv4"]


def resolved_ports(service: Mapping[str, Any], pod: Mapping[str, Any]) -> list[Object]:
    """The ports at which this pod serves the service; those whose name the pod does not know are left out."""
    ports: list[Object] = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is None:
            continue
        made: Object = {"name": port.get("name") or "", "port": number, "protocol": port.get("protocol") or "TCP"}
        if port.get("appProtocol"):
            made["appProtocol"] = port["appProtocol"]
        ports.append(made)
    return ports


def find_port(pod: Mapping[str, Any], port: Mapping[str, Any]) -> int | None:
    """The number of a service port's target in the pod; None when no container declares that name."""
    target = port.get("targetPort")
    if target is None or target in ("", 0):
        return int(port["port"])
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for declared in container.get("ports") or ():
            same_protocol = (declared.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if declared.get("name") == target and same_protocol:
                return int(declared["containerPort"])
    return None


def endpoint_of(service: Object, pod: Object, node: Object | None, address_type: str) -> Object | None:
    """The pod as an endpoint of that address type; None when it has no such address."""
    version = 6 if address_type == "IPv6" else 4
    addresses = [ip for ip in pod_ips(pod) if ipaddress.ip_address(ip).version == version]
    if not addresses:
        return None
    serving, terminating = is_ready(pod), is_deleting(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: Object = {
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_of(pod),
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    if node is not None and labels_of(node).get(ZONE):
        endpoint["zone"] = labels_of(node)[ZONE]
    if hostname := hostname_in(service, pod):
        endpoint["hostname"] = hostname
    return endpoint


def target_of(pod: Object) -> Object:
    return {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}


def hostname_in(service: Object, pod: Object) -> str:
    """The pod's own name within the service's domain, where its spec gives it one."""
    spec = pod["spec"]
    return spec["hostname"] if spec.get("hostname") and spec.get("subdomain") == name_of(service) else ""


def with_hints(endpoint: Object, distribution: str) -> Object:
    """The endpoint with the hints that ``trafficDistribution`` asks for."""
    zone, node = endpoint.get("zone"), endpoint.get("nodeName")
    if not endpoint["conditions"]["ready"]:
        return endpoint
    hints: Object = {}
    if distribution in ("PreferClose", "PreferSameZone", "PreferSameNode") and zone:
        hints["forZones"] = [{"name": zone}]
    if distribution == "PreferSameNode" and node:
        hints["forNodes"] = [{"name": node}]
    return {**endpoint, "hints": hints} if hints else endpoint


def relevant(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    """All of a pod that endpoints depend on: equal before and after means nothing to do."""
    spec = pod.get("spec") or {}
    names = spec.get("hostname"), spec.get("subdomain"), spec.get("nodeName")
    return (pod_ips(pod), is_ready(pod), is_deleting(pod), is_finished(pod), labels_of(pod), names)
