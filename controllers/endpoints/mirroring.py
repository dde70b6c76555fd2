"""EndpointSlice mirroring: slices for Endpoints that users write by hand for services without a selector."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.endpoints.endpoints import LEADER
from controllers.endpoints.endpointslice import BY_SERVICE, MANAGED_BY, SERVICE_NAME, service_of, write_slices
from controllers.endpoints.packing import TRIGGER_TIME, Changes, Group, endpoint_id, pack, ports_id
from controllers.lib.collection import Collection
from controllers.options import Options
from kubeling.api.meta import (
    Key,
    Object,
    annotations_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
)
from kubeling.api.resources import ENDPOINT_SLICES, ENDPOINTS, SERVICES

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", TRIGGER_TIME})


def is_mirrored(endpoints: Object | None, service: Object | None) -> bool:
    """True for hand-written Endpoints of a service without a selector."""
    if endpoints is None or service is None or service["spec"].get("selector"):
        return False
    return labels_of(endpoints).get(SKIP) != "true" and LEADER not in annotations_of(endpoints)


def groups_of(endpoints: Object, per_subset: int) -> list[Group]:
    """The addresses of the subsets by address type and ports, ``per_subset`` of each subset."""
    groups: dict[tuple[str, bytes], Group] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        addresses = [(a, True) for a in subset.get("addresses") or ()]
        addresses += [(a, False) for a in subset.get("notReadyAddresses") or ()]
        for address, ready in addresses[:per_subset]:
            kind = "IPv6" if ipaddress.ip_address(address["ip"]).version == 6 else "IPv4"
            group = groups.setdefault((kind, ports_id(ports)), Group(kind, ports))
            endpoint: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
            endpoint.update({f: address[f] for f in ("hostname", "nodeName", "targetRef") if address.get(f)})
            group.endpoints[endpoint_id(endpoint)] = endpoint
    return list(groups.values())


def plan(endpoints: Object, slices: Sequence[Object], limit: int, per_subset: int = 1000) -> Changes:
    """The writes that make the mirror right."""
    annotations = {k: v for k, v in annotations_of(endpoints).items() if k not in _NOT_COPIED}
    trigger = annotations_of(endpoints).get(TRIGGER_TIME)
    template: Object = {
        "generateName": f"{name_of(endpoints)}-",
        "namespace": namespace_of(endpoints),
        "labels": {**labels_of(endpoints), SERVICE_NAME: name_of(endpoints), MANAGED_BY: MANAGER},
        "annotations": {**annotations, **({TRIGGER_TIME: trigger} if trigger else {})},
        "ownerReferences": [owner_reference({"apiVersion": "v1", "kind": "Endpoints", **endpoints})],
    }
    groups = groups_of(endpoints, per_subset)
    return pack(template, slices, groups, limit) if groups else Changes(delete=list(slices))


class MirroringReconciler:
    """Keeps the mirror of each hand-written Endpoints."""

    def __init__(self, services: Collection, endpoints: Collection, slices: Collection, options: Options) -> None:
        self._services = services
        self._endpoints = endpoints
        self._slices = slices
        self._limits = options.max_endpoints_per_slice, options.mirroring_max_endpoints_per_subset

    async def reconcile(self, key: Key) -> None:
        endpoints = self._endpoints.get(key)
        found = self._slices.store.by_index(BY_SERVICE, key)
        ours = [s for s in found if labels_of(s).get(MANAGED_BY) == MANAGER and not is_deleting(s)]
        if endpoints is not None and is_mirrored(endpoints, self._services.get(key)):
            await write_slices(self._slices, plan(endpoints, ours, *self._limits))
        else:
            await write_slices(self._slices, Changes(delete=ours))


def _ours(old: Object | None, new: Object | None) -> Iterable[Key]:
    for slice_ in (old, new):
        if slice_ is not None and labels_of(slice_).get(MANAGED_BY) == MANAGER:
            yield from service_of(slice_)


def build(context: Context) -> Sequence[Runnable]:
    services, endpoints = context.collection(SERVICES), context.collection(ENDPOINTS)
    slices = context.collection(ENDPOINT_SLICES, indexers={BY_SERVICE: service_of})
    reconciler = MirroringReconciler(services, endpoints, slices, context.options)
    controller = context.controller("endpoint_slice_mirroring", reconciler)
    controller.watch(services.informer)
    controller.watch(endpoints.informer)
    controller.watch(slices.informer, _ours)
    return [controller]


CONTROLLER = ControllerSpec(
    "endpointslice-mirroring-controller",
    build,
    alias="endpointslicemirroring",
    account="endpointslicemirroring-controller",
    syncs="mirroring_concurrent_service_endpoint_syncs",
)
