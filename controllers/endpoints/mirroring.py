"""EndpointSlice mirroring: slices for Endpoints that users write by hand for services without a selector."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controllers.context import Context, ControllerSpec, Runnable
from controllers.endpoints.endpoints import LEADER
from controllers.endpoints.endpointslice import BY_SERVICE, MANAGED_BY, SERVICE_NAME, service_of, write_slices
from controllers.endpoints.packing import Changes, Group, endpoint_id, ports_id
from controllers.endpoints.triggers import ANNOTATION
from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError
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
from kubeling.client.events import EventRecorder

COMPONENT = "endpoint-slice-mirroring-controller"
MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", ANNOTATION})


def is_mirrored(endpoints: Object | None, service: Object | None) -> bool:
    """True for hand-written Endpoints of a service without a selector."""
    if endpoints is None or service is None or service["spec"].get("selector"):
        return False
    return labels_of(endpoints).get(SKIP) != "true" and LEADER not in annotations_of(endpoints)


@dataclass(frozen=True, slots=True)
class Mirror:
    """The wanted endpoints by address type and ports; how many addresses are none, and how many were left out in all."""

    groups: list[Group]
    invalid: int
    skipped: int


def mirror_of(endpoints: Object, most: int) -> Mirror:
    """The addresses of the subsets, at most ``most`` of each."""
    groups: dict[tuple[str, bytes], Group] = {}
    invalid = skipped = 0
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        addresses = [(a, True) for a in subset.get("addresses") or ()]
        addresses += [(a, False) for a in subset.get("notReadyAddresses") or ()]
        added = 0
        for address, ready in addresses:
            if added >= most:
                break
            try:
                ip = ipaddress.ip_address(address["ip"])
            except ValueError:
                invalid += 1
                continue
            kind = f"IPv{ip.version}"
            group = groups.setdefault((kind, ports_id(ports)), Group(kind, ports))
            endpoint: Object = {"addresses": [str(ip)], "conditions": {"ready": ready}}
            endpoint.update({f: address[f] for f in ("hostname", "nodeName", "targetRef") if address.get(f)})
            group.endpoints[endpoint_id(endpoint)] = endpoint
            added += 1
        skipped += len(addresses) - added
    return Mirror(list(groups.values()), invalid, skipped)


def plan(endpoints: Object, slices: Sequence[Object], groups: Iterable[Group], most: int = 1000) -> Changes:
    """The writes that make the mirror right: one slice for each address type and set of ports, of at most ``most``."""
    annotations = {k: v for k, v in annotations_of(endpoints).items() if k not in _NOT_COPIED}
    metadata: Object = {
        "namespace": namespace_of(endpoints),
        "labels": {**labels_of(endpoints), SERVICE_NAME: name_of(endpoints), MANAGED_BY: MANAGER},
        "annotations": annotations,
        "ownerReferences": [owner_reference({"apiVersion": "v1", "kind": "Endpoints", **endpoints})],
    }
    changes = Changes()
    spare = list(slices)
    for group in groups:
        there = next((s for s in spare if _mirrors(s, group)), None)
        wanted: Object = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": group.address_type,
            "ports": group.ports,
            "endpoints": list(group.endpoints.values())[:most],
        }
        if there is None:
            name = {"generateName": f"{name_of(endpoints)}-"}
            changes.create.append({**wanted, "metadata": {**name, **metadata}})
            continue
        spare.remove(there)
        if not _is_right(there, wanted["endpoints"], metadata):
            changes.update.append({**wanted, "metadata": {**there["metadata"], **metadata}})
    changes.delete += spare
    _recycle(changes)
    return changes


def _mirrors(slice_: Object, group: Group) -> bool:
    return slice_["addressType"] == group.address_type and ports_id(slice_.get("ports") or ()) == ports_id(group.ports)


def _is_right(slice_: Object, endpoints: Sequence[Object], metadata: Object) -> bool:
    there = {endpoint_id(e): e for e in slice_.get("endpoints") or ()}
    same = labels_of(slice_) == metadata["labels"] and annotations_of(slice_) == metadata["annotations"]
    return same and there == {endpoint_id(e): e for e in endpoints}


def _recycle(changes: Changes) -> None:
    """Updates slices that would go in place of making new ones of their address type."""
    for made in list(changes.create):
        there = next((s for s in changes.delete if s["addressType"] == made["addressType"]), None)
        if there is not None:
            metadata = {k: v for k, v in made["metadata"].items() if k != "generateName"}
            changes.update.append({**made, "metadata": {**there["metadata"], **metadata}})
            changes.create.remove(made)
            changes.delete.remove(there)


class MirroringReconciler:
    """Keeps the mirror of each hand-written Endpoints."""

    def __init__(
        self, services: Collection, endpoints: Collection, slices: Collection, recorder: EventRecorder, most: int
    ) -> None:
        self._services = services
        self._endpoints = endpoints
        self._slices = slices
        self._recorder = recorder
        self._most = most

    async def reconcile(self, key: Key) -> None:
        endpoints = self._endpoints.get(key)
        found = self._slices.store.by_index(BY_SERVICE, key)
        ours = [s for s in found if labels_of(s).get(MANAGED_BY) == MANAGER and not is_deleting(s)]
        if endpoints is None or not is_mirrored(endpoints, self._services.get(key)):
            await write_slices(self._slices, Changes(delete=ours))
            return
        mirror = mirror_of(endpoints, self._most)
        self._tell(endpoints, mirror)
        changes = plan(endpoints, ours, mirror.groups, self._most)
        if is_deleting(endpoints):
            changes.create.clear()
        try:
            await write_slices(self._slices, changes)
        except StatusError as err:
            text = f"Error updating Endpoint Slices for Service {key.namespace}/{key.name}: {err}"
            self._recorder.event(endpoints, "Warning", "FailedToUpdateEndpointSlices", text)
            raise

    def _tell(self, endpoints: Object, mirror: Mirror) -> None:
        if mirror.invalid:
            text = f"Skipped {mirror.invalid} invalid IP addresses when mirroring to EndpointSlices"
            self._recorder.event(endpoints, "Warning", "InvalidIPAddress", text)
        if mirror.skipped > mirror.invalid:
            text = (
                f"A max of {self._most} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{mirror.skipped} addresses were skipped"
            )
            self._recorder.event(endpoints, "Warning", "TooManyAddressesToMirror", text)


def _ours(old: Object | None, new: Object | None) -> Iterable[Key]:
    for slice_ in (old, new):
        if slice_ is not None and labels_of(slice_).get(MANAGED_BY) == MANAGER:
            yield from service_of(slice_)


def build(context: Context) -> Sequence[Runnable]:
    services, endpoints = context.collection(SERVICES), context.collection(ENDPOINTS)
    slices = context.collection(ENDPOINT_SLICES, indexers={BY_SERVICE: service_of})
    most = context.options.mirroring_max_endpoints_per_subset
    reconciler = MirroringReconciler(services, endpoints, slices, context.recorder(COMPONENT), most)
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
