"""Taint eviction: pods leave nodes whose NoExecute taints they do not tolerate, or no longer.

Source of the rules: pkg/controller/tainteviction. The beginning of a pod's patience is upstream's "when the controller first saw
it"; here it is taken from the objects where they tell it, so that it outlives the controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import patch_condition
from controllers.lib.ranking import node_of
from controllers.nodelifecycle.controller import pods_by_node
from controllers.nodelifecycle.taints import taints_of
from controllers.nodelifecycle.writes import BY_NODE
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, condition_of, is_deleting, key_of, name_of, parse_time, uid_of
from kubeling.api.placement import tolerates
from kubeling.api.resources import NODES, PODS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "taint-eviction-controller"


def patience(pod: Object, taints: Sequence[Object]) -> float | None:
    """The seconds for which the pod tolerates all the taints: 0 where it does not, None for ever.

    Of all tolerations that a taint uses the shortest counts.
    """
    tolerations = pod["spec"].get("tolerations") or ()
    limits: list[int] = []
    for taint in taints:
        used = [t for t in tolerations if tolerates(t, taint)]
        if not used:
            return 0.0
        limits += [int(t["tolerationSeconds"]) for t in used if t.get("tolerationSeconds") is not None]
    return float(max(0, min(limits))) if limits else None


def since_when(pod: Object, taints: Iterable[Object], now: datetime) -> datetime:
    """When the pod's patience began: with the newest taint, or when it came to the node, as far as either is known."""
    moments = [taint["timeAdded"] for taint in taints if taint.get("timeAdded")]
    scheduled = condition_of(pod, "PodScheduled") or {}
    if scheduled.get("status") == "True" and scheduled.get("lastTransitionTime"):
        moments.append(scheduled["lastTransitionTime"])
    complete = all(taint.get("timeAdded") for taint in taints)
    return min(now, max(parse_time(m) for m in moments)) if moments and complete else now


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod with time left: its uid, since when, and until when."""

    uid: str
    since: datetime
    due: datetime


class EvictionReconciler:
    """Looks at one pod; those with time left are looked at again when it is over.

    What was decided for a pod holds until its taints are all gone, or all tolerated for ever, or one is not tolerated at all.
    """

    def __init__(self, pods: Collection, nodes: Collection, recorder: EventRecorder, clock: Clock) -> None:
        self._pods = pods
        self._nodes = nodes
        self._recorder = recorder
        self._clock = clock
        self._waiting: dict[Key, Waiting] = {}

    async def reconcile(self, key: Key) -> Result | None:
        pod = self._pods.get(key)
        if pod is None:
            self._cancel(key)
        if pod is None or is_deleting(pod):
            return None
        node = self._nodes.get(Key("", node_of(pod)))
        if node is None and key in self._waiting:  # gone while the pod waits: its time goes on
            return await self._wait(key, pod, self._waiting[key])
        taints = [t for t in taints_of(node or {}) if t.get("effect") == "NoExecute"]
        seconds = patience(pod, taints) if taints else None
        now = self._clock.now()
        if not seconds:
            self._cancel(key)
            if seconds is not None:
                await self._evict(key, pod)
            return None
        waiting = self._waiting.get(key)
        if waiting is None or waiting.uid != uid_of(pod):
            since = since_when(pod, taints, now)
            waiting = Waiting(uid_of(pod), since, since + timedelta(seconds=seconds))
        return await self._wait(key, pod, waiting)

    async def _wait(self, key: Key, pod: Object, waiting: Waiting) -> Result | None:
        left = (waiting.due - self._clock.now()).total_seconds()
        if left > 0:
            self._waiting[key] = waiting
            return Result(left)
        self._waiting.pop(key, None)
        await self._evict(key, pod)
        return None

    def _cancel(self, key: Key) -> None:
        if self._waiting.pop(key, None) is not None:
            self._tell(key, "Cancelling deletion of Pod")

    def _tell(self, key: Key, what: str) -> None:
        """About the pod by its name alone, as upstream's events are."""
        reference = {"apiVersion": "v1", "kind": "Pod", "name": key.name, "namespace": key.namespace}
        self._recorder.event(reference, "Normal", "TaintManagerEviction", f"{what} {key.namespace}/{key.name}")

    async def _evict(self, key: Key, pod: Object) -> None:
        self._tell(key, "Marking for deletion Pod")
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
    """A pod that got a node, or other tolerations, or that has gone."""
    if new is None:
        yield from (key_of(pod) for pod in (old,) if pod is not None)
    elif node_of(new) and (old is None or _stay(old) != _stay(new)):
        yield key_of(new)


def _stay(pod: Object) -> object:
    """What decides how long the pod may stay where it is."""
    return node_of(pod), pod["spec"].get("tolerations")


def build(context: Context) -> Sequence[Runnable]:
    nodes = context.collection(NODES)
    pods = context.collection(PODS, indexers={BY_NODE: pods_by_node})
    reconciler = EvictionReconciler(pods, nodes, context.recorder(COMPONENT), context.clock)
    controller = context.controller("noexec_taint_pod_queue", reconciler)
    controller.watch(pods.informer, _bound)
    controller.watch(nodes.informer, lambda old, new: _pods_of(pods, old, new))
    return [controller]


CONTROLLER = ControllerSpec(COMPONENT, build, alias="taint-eviction", account="node-controller")
