"""Endpoints: the older form of EndpointSlice, one object a service."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.endpoints import members
from controllers.endpoints.common import ServicesOfPods, pods_of
from controllers.endpoints.packing import ports_id
from controllers.endpoints.triggers import ANNOTATION, TriggerTimes
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import is_namespace_terminating
from controllers.lib.pods import is_ready
from kubeling.api.errors import StatusError
from kubeling.api.meta import Key, Object, annotations_of, key_of, labels_of, name_of, namespace_of
from kubeling.api.resources import ENDPOINTS, PODS, SERVICES
from kubeling.client.events import EventRecorder

COMPONENT = "endpoint-controller"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LEADER = "control-plane.alpha.kubernetes.io/leader"
CAPACITY = 1000


def subsets_of(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The service's pods by sets of ports; ready and not ready addresses apart, by address."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    version = 6 if members.address_types(service)[0] == "IPv6" else 4
    groups: dict[bytes, Object] = {}
    for pod in pods:
        if not members.belongs(pod, terminating=publish):
            continue
        address = next((ip for ip in members.pod_ips(pod) if ipaddress.ip_address(ip).version == version), "")
        ports = members.resolved_ports(service, pod)
        if not address or not (ports or (members.is_headless(service) and not service["spec"].get("ports"))):
            continue
        subset = groups.setdefault(ports_id(ports), {"ports": [_plain(port) for port in ports]})
        ready = publish or is_ready(pod)
        subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(_address(service, pod, address))
    for subset in groups.values():
        for field in ("addresses", "notReadyAddresses"):
            if field in subset:
                subset[field].sort(key=lambda a: (ipaddress.ip_address(a["ip"]).packed, a["targetRef"]["uid"]))
        if not subset["ports"]:
            del subset["ports"]
    return [groups[identity] for identity in sorted(groups)]


def _plain(port: Object) -> Object:
    return {k: v for k, v in port.items() if v != ""}


def _address(service: Object, pod: Object, ip: str) -> Object:
    address: Object = {"ip": ip}
    if hostname := members.hostname_in(service, pod):
        address["hostname"] = hostname
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    return {**address, "targetRef": members.target_of(pod)}


def truncated(subsets: list[Object]) -> tuple[list[Object], bool]:
    """At most 1000 addresses, ready ones first, each subset giving its share; and whether any had to go."""
    ready = sum(len(s.get("addresses") or ()) for s in subsets)
    others = sum(len(s.get("notReadyAddresses") or ()) for s in subsets)
    if ready + others <= CAPACITY:
        return subsets, False
    field, total = ("addresses", ready) if ready > CAPACITY else ("notReadyAddresses", others)
    most = room = CAPACITY if ready > CAPACITY else CAPACITY - ready
    kept = []
    for subset in subsets:
        addresses = subset.get(field) or []
        share = min(room, math.ceil(len(addresses) / total * most))
        room -= min(share, len(addresses))
        cut = {k: v for k, v in subset.items() if k not in ("notReadyAddresses", field)}
        kept.append({**cut, **({field: addresses[:share]} if addresses[:share] else {})})
    return [s for s in kept if s.get("addresses") or s.get("notReadyAddresses")], True


def plan(service: Object, pods: Iterable[Object], current: Object | None, trigger: str = "") -> Object | None:
    """The Endpoints to write; None when they are right. ``trigger``: when the change happened that they answer."""
    subsets, over = truncated(subsets_of(service, pods))
    labels = {k: v for k, v in labels_of(service).items() if k != members.HEADLESS}
    if members.is_headless(service):
        labels[members.HEADLESS] = ""
    labels[MANAGED_BY] = COMPONENT
    before = annotations_of(current or {})
    annotations = {k: v for k, v in before.items() if k != OVER_CAPACITY}
    if over:
        annotations[OVER_CAPACITY] = "truncated"
    same = current is not None and (current.get("subsets") or []) == subsets and dict(labels_of(current)) == labels
    if same and annotations == before:
        return None
    annotations.pop(ANNOTATION, None)
    if trigger:
        annotations[ANNOTATION] = trigger
    base = (current or {}).get("metadata") or {"name": name_of(service), "namespace": namespace_of(service)}
    metadata = {**base, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


class EndpointsReconciler:
    """Keeps the Endpoints of each service with a selector, and removes those of deleted services."""

    def __init__(self, services: Collection, pods: Collection, endpoints: Collection, recorder: EventRecorder) -> None:
        self._services = services
        self._pods = pods
        self._endpoints = endpoints
        self._recorder = recorder
        self._triggers = TriggerTimes()

    async def reconcile(self, key: Key) -> None:
        service, current = self._services.get(key), self._endpoints.get(key)
        if service is None:
            self._triggers.forget(key)
            if current is not None and LEADER not in annotations_of(current):
                await self._endpoints.delete(current)
            return
        if not service["spec"].get("selector"):
            return
        pods = pods_of(service, self._pods)
        wanted = plan(service, pods, current, self._triggers.next(key, service, pods))
        if wanted is None:
            return
        try:
            await (self._endpoints.create(wanted) if current is None else self._endpoints.update(wanted))
        except StatusError as err:
            if is_namespace_terminating(err):
                return
            if current is None:
                text = f"Failed to create endpoint for service {key}: {err}"
                self._recorder.event(wanted, "Warning", "FailedToCreateEndpoint", text)
            else:
                self._recorder.event(
                    wanted, "Warning", "FailedToUpdateEndpoint", f"Failed to update endpoint {key}: {err}"
                )
            raise


def _is_ours(endpoints: Object) -> bool:
    return labels_of(endpoints).get(MANAGED_BY) == COMPONENT


def _changed_or_left(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Endpoints that we manage (they are put right), and at the start those whose service went while we were away."""
    obj = new if new is not None else old
    if obj is not None and (_is_ours(obj) or (old is not None and _is_ours(old))):
        yield key_of(obj)


def build(context: Context) -> Sequence[Runnable]:
    services, pods, endpoints = (context.collection(r) for r in (SERVICES, PODS, ENDPOINTS))
    reconciler = EndpointsReconciler(services, pods, endpoints, context.recorder(COMPONENT))
    controller = context.controller("endpoint", reconciler)
    controller.watch(services.informer)
    controller.watch(pods.informer, ServicesOfPods(services).keys)
    controller.watch(endpoints.informer, _changed_or_left)
    return [controller]


CONTROLLER = ControllerSpec(
    "endpoints-controller", build, alias="endpoint", account="endpoint-controller", syncs="concurrent_endpoint_syncs"
)
