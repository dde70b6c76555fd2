"""What the informers know, fed into the cache and the queue: every change of the cluster passes here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeling.api.meta import Key, Object, labels_of, name_of
from kubeling.api.resource import Resource
from kubeling.api.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    DEVICE_CLASSES,
    DEVICE_TAINT_RULES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    SERVICES,
    STATEFUL_SETS,
    STORAGE_CLASSES,
)
from kubeling.client.informer import Informer
from kubeling.client.informers import SharedInformers
from scheduler.cache import Cache
from scheduler.framework.events import ClusterEvent
from scheduler.framework.profile import Profile
from scheduler.model.pod import PodInfo
from scheduler.queue import SchedulingQueue

UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"
_LISTED: tuple[tuple[Resource, ClusterEvent | None], ...] = (
    (NAMESPACES, ClusterEvent.NAMESPACE),
    (SERVICES, None),
    (REPLICA_SETS, None),
    (STATEFUL_SETS, None),
    (REPLICATION_CONTROLLERS, None),
    (POD_DISRUPTION_BUDGETS, None),
    (PERSISTENT_VOLUME_CLAIMS, ClusterEvent.CLAIM),
    (PERSISTENT_VOLUMES, ClusterEvent.VOLUME),
    (STORAGE_CLASSES, ClusterEvent.STORAGE_CLASS),
    (CSI_NODES, ClusterEvent.CSI),
    (CSI_DRIVERS, ClusterEvent.CSI),
    (CSI_STORAGE_CAPACITIES, ClusterEvent.CSI),
    (RESOURCE_CLAIMS, ClusterEvent.RESOURCE_CLAIM),
    (RESOURCE_SLICES, ClusterEvent.DEVICES),
    (DEVICE_CLASSES, ClusterEvent.DEVICE_CLASS),
)
_BY_FEATURE: Mapping[str, tuple[tuple[Resource, ClusterEvent | None], ...]] = {
    "DRADeviceTaintRules": ((DEVICE_TAINT_RULES, ClusterEvent.DEVICES),)
}
"""Kinds that are looked at with a feature gate alone: a server may not serve them."""
Handler = Callable[[Object | None, Object | None], None]


class InformerListers:
    """The kinds that plugins look at, from informers' stores; and the changes among them that may help pods.

    ``features``: names of the feature gates that are on. A kind that none of them brings in is empty.
    """

    def __init__(self, informers: SharedInformers, features: Iterable[str] = ()) -> None:
        self._listed = (*_LISTED, *(kind for feature in features for kind in _BY_FEATURE.get(feature, ())))
        self.informers: dict[str, Informer] = {r.kind: informers.informer(r) for r, _ in self._listed}

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        return self.informers[kind].store.get(Key(namespace, name))

    def list(self, kind: str, namespace: str = "") -> list[Object]:
        return self.informers[kind].store.list(namespace) if kind in self.informers else []

    def on_change(self, happened: Callable[[ClusterEvent], None]) -> None:
        """Calls back for changes that some plugin may want to hear of."""
        for resource, event in self._listed:
            if event is not None:
                self.informers[resource.kind].add_handler(_telling(happened, event))


def _telling(happened: Callable[[ClusterEvent], None], event: ClusterEvent) -> Handler:
    return lambda old, new: happened(event)


class World:
    """Keeps cache and queue up to date. ``profiles`` by scheduler name: pods of other schedulers are only counted."""

    def __init__(self, cache: Cache, queue: SchedulingQueue, profiles: Mapping[str, Profile]) -> None:
        self._cache = cache
        self._queue = queue
        self._profiles = profiles

    def follow(self, informers: SharedInformers, listers: InformerListers) -> list[Informer]:
        """Hears of everything from now on; answers the informers without which nothing can be decided."""
        nodes = informers.informer(NODES)
        pods = informers.informer(PODS, field_selector=UNFINISHED)
        nodes.add_handler(self.node_changed)
        pods.add_handler(self.pod_changed)
        listers.on_change(self._happened)
        return [nodes, pods]

    def _happened(self, event: ClusterEvent) -> None:
        if event is ClusterEvent.NAMESPACE:
            self._cache.forget_namespaces()
        if event is ClusterEvent.RESOURCE_CLAIM:
            self._let_in()
        self._queue.happened(event)

    def _let_in(self) -> None:
        """Pods that were kept out of the queue until their claims are there."""
        for pod in [p for p in self._queue.gated() if p.spec.get("resourceClaims")]:
            if not self._is_gated(pod):
                self._queue.add(pod)

    # nodes

    def node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._cache.remove_node(name_of(old or {}))
            return
        events = list(node_events(old, new))
        if events:
            self._cache.set_node(new)
        for event in events:
            self._queue.happened(event)

    # pods

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        before = PodInfo(old) if old is not None else None
        after = PodInfo(new) if new is not None else None
        if after is not None and after.finished:
            after = None
        if after is None:
            if before is not None:
                self._pod_gone(before)
        elif after.node_name:
            self._pod_placed(before, after)
        elif after.spec.get("schedulerName", "default-scheduler") in self._profiles:
            self._pod_waits(before, after)

    def _pod_gone(self, pod: PodInfo) -> None:
        placed = bool(pod.node_name) or self._cache.is_assumed(pod.uid)
        self._cache.remove_pod(pod.uid)
        self._cache.nominate(pod, "")
        self._queue.remove(pod.uid)
        if placed or pod.nominated_node:
            self._queue.happened(ClusterEvent.POD_DELETED)

    def _pod_placed(self, before: PodInfo | None, pod: PodInfo) -> None:
        self._cache.set_pod(pod)
        self._cache.nominate(pod, "")
        self._queue.remove(pod.uid)
        if before is None or not before.node_name:
            self._queue.happened(ClusterEvent.POD_ADDED)
            return
        if before.labels != pod.labels:
            self._queue.happened(ClusterEvent.POD_LABELS)
        if before.spec is not pod.spec and any(pod.requests.get(k, 0) < v for k, v in before.requests.items()):
            self._queue.happened(ClusterEvent.POD_SCALED_DOWN)

    def _pod_waits(self, before: PodInfo | None, pod: PodInfo) -> None:
        if self._cache.is_assumed(pod.uid):
            return
        self._cache.nominate(pod, pod.nominated_node)
        if pod.deleting:
            self._queue.remove(pod.uid)
            return
        gated = self._is_gated(pod)
        waiting = self._queue.waiting(pod.uid)
        if before is None or (waiting is not None and waiting.gated and not gated):
            self._queue.add(pod, gated=gated)
            return
        self._queue.update(pod)
        if _changed_itself(before, pod):
            self._queue.happened(ClusterEvent.OWN_UPDATE, lambda other: other.uid == pod.uid)

    def _is_gated(self, pod: PodInfo) -> bool:
        return any(p.pre_enqueue(pod, self._cache.listers) is not None for p in self._profile(pod).pre_enqueue)

    def _profile(self, pod: PodInfo) -> Profile:
        return self._profiles[pod.spec.get("schedulerName", "default-scheduler")]


def node_events(old: Object | None, new: Object) -> Iterable[ClusterEvent]:
    """What about a node has changed that scheduling depends on; heartbeats do not count."""
    if old is None:
        yield ClusterEvent.NODE_ADDED
        return
    if _part(old, "status", "allocatable") != _part(new, "status", "allocatable"):
        yield ClusterEvent.NODE_ALLOCATABLE
    if labels_of(old) != labels_of(new):
        yield ClusterEvent.NODE_LABELS
    if any(_part(old, "spec", p) != _part(new, "spec", p) for p in ("taints", "unschedulable")):
        yield ClusterEvent.NODE_TAINTS
    if _part(old, "status", "images") != _part(new, "status", "images"):
        yield ClusterEvent.NODE_OTHER


def _part(obj: Object, section: str, name: str) -> Any:
    return (obj.get(section) or {}).get(name)


def _changed_itself(before: PodInfo, after: PodInfo) -> bool:
    """Whether anything that scheduling goes by is different: of the status only the names of its claims."""
    status, was = (p.obj.get("status") or {} for p in (after, before))
    claims = "resourceClaimStatuses"
    return before.spec != after.spec or before.labels != after.labels or status.get(claims) != was.get(claims)


__all__ = ["InformerListers", "World", "node_events"]
