"""Pod garbage collector: pods that no kubelet will ever finish, and finished ones beyond a threshold.

Source of the rules: kubernetes/pkg/controller/podgc.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.batches import together
from controllers.lib.collection import Collection
from controllers.lib.podcontrol import patch_condition
from controllers.lib.pods import is_finished
from controllers.lib.ranking import node_of
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, has_condition, is_deleting, key_of, name_of, uid_of
from kubeling.api.resources import NODES, PODS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result

log = logging.getLogger(__name__)

PERIOD_SECONDS = 20.0
QUARANTINE = timedelta(seconds=40)  # how long a node must be gone before its pods are orphans
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass
class Plan:
    """Pods to delete at once; ``orphaned`` ones get the condition DisruptionTarget first."""

    terminated: list[Object] = field(default_factory=list)
    orphaned: list[Object] = field(default_factory=list)
    out_of_service: list[Object] = field(default_factory=list)
    unscheduled: list[Object] = field(default_factory=list)


def plan(pods: Sequence[Object], nodes: Iterable[Object], gone: set[str], threshold: int) -> Plan:
    """Which pods go. ``gone``: names of nodes that have been missing for long enough."""
    by_name = {name_of(node): node for node in nodes}
    made = Plan(orphaned=[p for p in pods if node_of(p) in gone])
    for pod in pods:
        node = by_name.get(node_of(pod))
        if is_deleting(pod) and not node_of(pod):
            made.unscheduled.append(pod)
        elif is_deleting(pod) and node is not None and _is_out_of_service(node):
            made.out_of_service.append(pod)
    finished = [p for p in pods if is_finished(p)]
    surplus = len(finished) - threshold
    if threshold > 0 and surplus > 0:
        made.terminated = sorted(finished, key=_age)[:surplus]
    return made


def _age(pod: Object) -> tuple[bool, str, str]:
    """Evicted pods go first, then the oldest."""
    status = pod.get("status") or {}
    evicted = status.get("phase") == "Failed" and status.get("reason") == "Evicted"
    return not evicted, pod["metadata"].get("creationTimestamp") or "", name_of(pod)


def _is_out_of_service(node: Object) -> bool:
    taints = (node.get("spec") or {}).get("taints") or ()
    return not has_condition(node, "Ready") and any(t.get("key") == OUT_OF_SERVICE for t in taints)


class PodGcReconciler:
    """Looks at all pods every 20 seconds."""

    def __init__(self, pods: Collection, nodes: Collection, clock: Clock, threshold: int) -> None:
        self._pods = pods
        self._nodes = nodes
        self._clock = clock
        self._threshold = threshold
        self._missing: dict[str, datetime] = {}

    async def reconcile(self, _: str) -> Result:
        pods = self._pods.store.list()
        gone = await self._gone(pods)
        decided = plan(pods, self._nodes.store.list(), gone, self._threshold)
        failure = await together(decided.orphaned, self._end_orphan)
        failure = await together(decided.out_of_service, self._fail_and_delete) or failure
        failure = await together([*decided.unscheduled, *decided.terminated], self._fail_and_delete) or failure
        if failure is not None:
            raise failure
        return Result(PERIOD_SECONDS)

    async def _gone(self, pods: Iterable[Object]) -> set[str]:
        """Nodes that pods name, that have been missing for the quarantine, and that the server confirms as gone."""
        now = self._clock.now()
        named = {node_of(p) for p in pods} - {""}
        missing = {name for name in named if self._nodes.get(Key("", name)) is None}
        self._missing = {name: self._missing.get(name, now) for name in missing}
        ripe = {name for name, since in self._missing.items() if since + QUARANTINE <= now}
        return {name for name in ripe if not await self._exists(name)}

    async def _exists(self, name: str) -> bool:
        try:
            await self._nodes.fetch(Key("", name))
        except StatusError as err:
            if is_not_found(err):
                return False
            raise
        return True

    async def _end_orphan(self, pod: Object) -> None:
        await self._fail_and_delete(pod, message="PodGC: node no longer exists")

    async def _fail_and_delete(self, pod: Object, *, message: str = "") -> None:
        """Gives the pod its last phase, which nobody else will, then removes it without grace."""
        log.info("PodGC is force deleting pod %s", key_of(pod))
        try:
            if not is_finished(pod):
                await self._fail(pod, message)
            await self._pods.delete(pod, grace_period_seconds=0)
        except StatusError as err:
            if not is_not_found(err):
                raise

    async def _fail(self, pod: Object, message: str) -> None:
        if message:
            now = self._clock.now()
            await patch_condition(
                self._pods, pod, "DisruptionTarget", "True", now, "DeletionByPodGC", message, phase="Failed"
            )
        else:
            patch = {"metadata": {"uid": uid_of(pod)}, "status": {"phase": "Failed"}}
            await self._pods.patch(pod, patch, subresource="status")


def build(context: Context) -> Sequence[Runnable]:
    pods, nodes = context.collection(PODS), context.collection(NODES)
    threshold = context.options.terminated_pod_gc_threshold
    controller = context.controller(
        "orphaned_pods_nodes", PodGcReconciler(pods, nodes, context.clock, threshold), workers=1
    )
    controller.watch(pods.informer, lambda old, new: ())
    controller.watch(nodes.informer, lambda old, new: ())
    controller.queue.add("all")
    return [controller]


CONTROLLER = ControllerSpec("pod-garbage-collector-controller", build, alias="podgc", account="pod-garbage-collector")
