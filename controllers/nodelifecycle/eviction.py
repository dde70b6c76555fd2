"""Taint eviction: pods leave nodes whose NoExecute taints they do not tolerate, or no longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.placement import tolerates
from controllers.lib.podcontrol import patch_condition
from controllers.lib.pods import is_finished
from controllers.lib.ranking import node_of
from controllers.nodelifecycle.controller import BY_NODE, pods_by_node
from controllers.nodelifecycle.taints import taints_of
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, is_deleting, key_of, name_of, parse_time, uid_of
from kubeling.api.resources import NODES, PODS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "taint-eviction-controller"


def evict_at(pod: Object, taints: Sequence[Object], now: datetime) -> datetime | None:
    """When the pod must go; ``now`` when at once, None when it may stay for good."""
    tolerations = pod["spec"].get("tolerations") or ()
    moments: list[datetime] = []
    for taint in taints:
        used = [t for t in tolerations if tolerates(t, taint)]
        if not used:
            return now
        limits = [int(t["tolerationSeconds"]) for t in used if t.get("tolerationSeconds") is not None]
        if limits:
            since = parse_time(taint["timeAdded"]) if taint.get("timeAdded") else now
            moments.append(since + timedelta(seconds=max(0, min(limits))))
    return min(moments, default=None)


class EvictionReconciler:
    """Looks at one pod; those with time left are looked at again when it is over."""

    def __init__(self, pods: Collection, nodes: Collection, recorder: EventRecorder, clock: Clock) -> None:
        self._pods = pods
        self._nodes = nodes
        self._recorder = recorder
        self._clock = clock
        self._waiting: set[str] = set()

    async def reconcile(self, key: Key) -> Result | None:
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod) or is_finished(pod):
            return None
        node = self._nodes.get(Key("", node_of(pod)))
        taints = [t for t in taints_of(node or {}) if t.get("effect") == "NoExecute"]
        now = self._clock.now()
        due = evict_at(pod, taints, now) if taints else None
        if due is None:
            if uid_of(pod) in self._waiting:
                self._waiting.discard(uid_of(pod))
                text = f"Cancelling deletion of Pod {key.namespace}/{key.name}"
                self._recorder.event(pod, "Normal", "TaintManagerEviction", text)
            return None
        if due > now:
            self._waiting.add(uid_of(pod))
            return Result((due - now).total_seconds())
        self._waiting.discard(uid_of(pod))
        await self._evict(pod)
        return None

    async def _evict(self, pod: Object) -> None:
        text = f"Marking for deletion Pod {key_of(pod).namespace}/{name_of(pod)}"
        self._recorder.event(pod, "Normal", "TaintManagerEviction", text)
        why = "Taint manager: deleting due to NoExecute taint"
        try:
            now = self._clock.now()
            await patch_condition(self._pods, pod, "DisruptionTarget", "True", now, "DeletionByTaintManager", why)
            await self._pods.delete(pod)
        except StatusError as err:
            if not is_not_found(err):
                raise


def _pods_of(pods: Collection, old: Object | None, new: Object | None) -> Iterable[Key]:
    if old is not None and new is not None and taints_of(old) == taints_of(new):
        return
    node = new or old
    if node is not None and (old is not None or taints_of(node)):
        yield from (key_of(pod) for pod in pods.store.by_index(BY_NODE, name_of(node)))


def _bound(old: Object | None, new: Object | None) -> Iterable[Key]:
    """A pod that got a node, or other tolerations."""
    if new is None or not node_of(new):
        return
    if old is None or node_of(old) != node_of(new) or old["spec"].get("tolerations") != new["spec"].get("tolerations"):
        yield key_of(new)


def build(context: Context) -> Sequence[Runnable]:
    nodes = context.collection(NODES)
    pods = context.collection(PODS, indexers={BY_NODE: pods_by_node})
    reconciler = EvictionReconciler(pods, nodes, context.recorder(COMPONENT), context.clock)
    controller = context.controller("noexec_taint_pod_queue", reconciler)
    controller.watch(pods.informer, _bound)
    controller.watch(nodes.informer, lambda old, new: _pods_of(pods, old, new))
    return [controller]


CONTROLLER = ControllerSpec(COMPONENT, build, alias="taint-eviction", account="node-controller")
