"""EndpointSlice: the pods of each service with a selector, a hundred a slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.endpoints import members
from controllers.endpoints.common import ServicesOfPods, pods_of
from controllers.endpoints.packing import Changes, Group, pack, ports_id
from controllers.endpoints.triggers import ANNOTATION, TriggerTimes
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import is_namespace_terminating
from controllers.lib.ranking import node_of
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_deleting, labels_of, name_of, namespace_of, owner_reference
from kubeling.api.resources import ENDPOINT_SLICES, NODES, PODS, SERVICES
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "endpoint-slice-controller"
MANAGER = "endpointslice-controller.k8s.io"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
BY_SERVICE = "service"
MISSING_NODE_SECONDS = 5.0


def service_of(slice_: Object) -> Iterable[Key]:
    """Index values: the service that a slice is labelled with."""
    if SERVICE_NAME in labels_of(slice_):
        yield Key(namespace_of(slice_), labels_of(slice_)[SERVICE_NAME])


def groups_of(service: Object, pods: Iterable[Object], nodes: Mapping[str, Object | None]) -> list[Group]:
    """The wanted endpoints, one group for each address type and set of ports; an empty group for a type without any."""
    found: list[Group] = []
    distribution = service["spec"].get("trafficDistribution") or ""
    chosen = sorted((p for p in pods if members.belongs(p, terminating=True)), key=name_of)
    for address_type in members.address_types(service):
        groups: dict[bytes, Group] = {}
        for pod in chosen:
            ports = members.resolved_ports(service, pod)
            endpoint = members.endpoint_of(service, pod, nodes.get(pod["spec"].get("nodeName") or ""), address_type)
            if endpoint is None:
                continue
            group = groups.setdefault(ports_id(ports), Group(address_type, ports))
            group.endpoints[endpoint["targetRef"]["uid"]] = members.with_hints(endpoint, distribution)
        found += groups.values() or [Group(address_type, [])]
    return found


def template_of(service: Object, trigger: str) -> Object:
    """The metadata of the service's slices."""
    labels = {k: v for k, v in labels_of(service).items() if k not in (members.HEADLESS, SERVICE_NAME, MANAGED_BY)}
    if members.is_headless(service):
        labels[members.HEADLESS] = ""
    labels.update({SERVICE_NAME: name_of(service), MANAGED_BY: MANAGER})
    return {
        "generateName": f"{name_of(service)}-",
        "namespace": namespace_of(service),
        "labels": labels,
        "annotations": {ANNOTATION: trigger} if trigger else {},
        "ownerReferences": [owner_reference({"apiVersion": "v1", "kind": "Service", **service})],
    }


def plan(
    service: Object, pods: Sequence[Object], nodes: Mapping[str, Object | None], slices: Sequence[Object], limit: int,
    trigger: str = "",
) -> Changes:  # fmt: skip
    """The writes that make the service's slices right. ``trigger``: when the change happened that they answer."""
    groups = groups_of(service, pods, nodes)
    changes = Changes()
    for address_type in dict.fromkeys(g.address_type for g in groups):
        part = pack(
            template_of(service, trigger),
            [s for s in slices if s["addressType"] == address_type],
            [g for g in groups if g.address_type == address_type],
            limit,
        )
        changes.create += part.create
        changes.update += part.update
        changes.delete += part.delete
    kept = {g.address_type for g in groups}
    changes.delete += [s for s in slices if s["addressType"] not in kept]
    return changes


class EndpointSliceReconciler:
    """Keeps the slices of each service."""

    def __init__(
        self, services: Collection, pods: Collection, nodes: Collection, slices: Collection,
        recorder: EventRecorder, limit: int,
    ) -> None:  # fmt: skip
        self._services = services
        self._pods = pods
        self._nodes = nodes
        self._slices = slices
        self._recorder = recorder
        self._limit = limit
        self._triggers = TriggerTimes()

    async def reconcile(self, key: Key) -> Result | None:
        service = self._services.get(key)
        if service is None:
            self._triggers.forget(key)  # the garbage collector takes the slices of a deleted service
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        pods = pods_of(service, self._pods)
        nodes = {name: self._nodes.get(Key("", name)) for name in {node_of(pod) for pod in pods}}
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        lost = [p for p in pods if not publish and nodes[node_of(p)] is None and members.belongs(p, terminating=True)]
        slices = self._slices.store.by_index(BY_SERVICE, key)
        ours = [s for s in slices if labels_of(s).get(MANAGED_BY) == MANAGER and not is_deleting(s)]
        known = [p for p in pods if p not in lost]
        changes = plan(service, known, nodes, ours, self._limit, self._triggers.next(key, service, pods))
        if is_deleting(service):
            changes.create.clear()
        try:
            await write_slices(self._slices, changes)
        except StatusError as err:
            self._tell(service, str(err))
            raise
        if not lost:
            return None
        where = f"Service {key.namespace}/{key.name}"
        told = [f"skipping Pod {name_of(p)} for {where}: Node {node_of(p)} Not Found" for p in lost]
        self._tell(service, told[0] if len(told) == 1 else f"[{', '.join(told)}]")
        return Result(MISSING_NODE_SECONDS)

    def _tell(self, service: Object, problem: str) -> None:
        text = f"Error updating Endpoint Slices for Service {namespace_of(service)}/{name_of(service)}: {problem}"
        self._recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", text)


async def write_slices(slices: Collection, changes: Changes) -> None:
    """Creates first, so that no endpoint is missing at any moment; a slice or namespace that goes away is fine."""
    for made in changes.create:
        try:
            await slices.create(made)
        except StatusError as err:
            if not is_namespace_terminating(err):
                raise
            return
    for changed in changes.update:
        try:
            await slices.update(changed)
        except StatusError as err:
            if not is_not_found(err):
                raise
    for gone in changes.delete:
        await slices.delete(gone)


def _service_when_spoiled(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Slices that others changed or deleted are put right; what we wrote ourselves is in the copy already."""
    for slice_ in (old, new):
        if slice_ is not None and labels_of(slice_).get(MANAGED_BY) == MANAGER:
            yield from service_of(slice_)


def build(context: Context) -> Sequence[Runnable]:
    services, pods, nodes = (context.collection(r) for r in (SERVICES, PODS, NODES))
    slices = context.collection(ENDPOINT_SLICES, indexers={BY_SERVICE: service_of})
    reconciler = EndpointSliceReconciler(
        services, pods, nodes, slices, context.recorder(COMPONENT), context.options.max_endpoints_per_slice
    )
    controller = context.controller("endpoint_slice", reconciler)
    controller.watch(services.informer)
    controller.watch(pods.informer, ServicesOfPods(services).keys)
    controller.watch(slices.informer, _service_when_spoiled)
    controller.watch(nodes.informer, lambda old, new: ())
    return [controller]


CONTROLLER = ControllerSpec(
    "endpointslice-controller", build, alias="endpointslice", syncs="concurrent_service_endpoint_syncs"
)
