"""ReplicaSet and ReplicationController: as many pods of a template as asked for.

One controller for both: they differ in their resource, in how the selector is written and in their status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib import pods as podlib
from controllers.lib.collection import Collection
from controllers.lib.owners import CONTROLLER_UID, ORPHANS, carry_out, orphans_of, plan_claim
from controllers.lib.podcontrol import MAX_AT_ONCE, PodControl
from controllers.lib.ranking import deletion_order
from kubeling.api import selectors
from kubeling.api.meta import (
    Key,
    Object,
    controller_of,
    is_controlled_by,
    is_deleting,
    key_of,
    labels_of,
    with_condition,
)
from kubeling.api.resource import Resource
from kubeling.api.resources import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from kubeling.api.selectors import Selector
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.store import by_controller


@dataclass(frozen=True, slots=True)
class Flavor:
    """What tells the two kinds apart; ``queue`` is the name of the work queue in the metrics."""

    resource: Resource
    component: str
    queue: str
    selector: Callable[[Object], Selector]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pods to create, and which to delete."""

    create: int = 0
    delete: tuple[Object, ...] = ()


def replicas_of(owner: Object) -> int:
    """``spec.replicas``; 1 where it is missing."""
    replicas = (owner.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def plan(owner: Object, pods: Sequence[Object], related: Iterable[Object], now: datetime) -> Plan:
    """What brings the owner's active ``pods`` to the wanted number, at most 500 at a time."""
    missing = replicas_of(owner) - len(pods)
    if missing > 0:
        return Plan(create=min(missing, MAX_AT_ONCE))
    surplus = min(-missing, MAX_AT_ONCE)
    if not surplus:
        return Plan()
    ranked = deletion_order(pods, related, now) if surplus < len(pods) else list(pods)
    return Plan(delete=tuple(ranked[:surplus]))


def status_of(
    owner: Object, active: Sequence[Object], terminating: int | None, failure: Exception | None, now: datetime
) -> Object:
    """The status that the pods and the outcome of this round give. ``terminating`` None leaves the count out."""
    spec, old = owner.get("spec") or {}, owner.get("status") or {}
    wanted_labels = (((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}).items()
    min_ready = int(spec.get("minReadySeconds") or 0)
    counts = {
        "fullyLabeledReplicas": sum(wanted_labels <= labels_of(pod).items() for pod in active),
        "readyReplicas": sum(podlib.is_ready(pod) for pod in active),
        "availableReplicas": sum(podlib.is_available(pod, min_ready, now) for pod in active),
    }
    status: Object = {"replicas": len(active), **{k: v for k, v in counts.items() if v}}
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    if owner["metadata"].get("generation"):
        status["observedGeneration"] = owner["metadata"]["generation"]
    conditions = _failure_condition(owner, len(active), old.get("conditions") or [], failure, now)
    if conditions:
        status["conditions"] = conditions
    return status


def _failure_condition(
    owner: Object, active: int, conditions: list[Object], failure: Exception | None, now: datetime
) -> list[Object]:
    """ReplicaFailure is set at the first failure and taken away by the first round without."""
    present = any(c["type"] == "ReplicaFailure" for c in conditions)
    if failure is not None and not present:
        creating = active < replicas_of(owner)
        reason, text = ("FailedCreate", "") if creating else ("FailedDelete", "unable to delete pods: ")
        return with_condition(conditions, "ReplicaFailure", "True", now, reason, f"{text}{failure}")
    if failure is None and present:
        return [c for c in conditions if c["type"] != "ReplicaFailure"]
    return conditions


def _is_claimed(owner: Object, selector: Selector, pod: Object) -> bool:
    return is_controlled_by(pod, owner) and selector.matches(labels_of(pod))


class ReplicaSetReconciler:
    """Keeps the pods of each owner at the wanted number."""

    def __init__(self, flavor: Flavor, owners: Collection, pods: Collection, control: PodControl, clock: Clock) -> None:
        self._flavor = flavor
        self._owners = owners
        self._pods = pods
        self._control = control
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        owner = self._owners.get(key)
        if owner is None:
            return None
        selector, candidates = self._flavor.selector(owner), self._candidates(owner)
        claim = plan_claim(owner, selector, filter(podlib.is_active, candidates))  # the others stay whose they are
        active = await carry_out(claim, owner, self._owners, self._pods)
        terminating = [p for p in candidates if podlib.is_terminating(p) and _is_claimed(owner, selector, p)]
        failure: Exception | None = None
        if not is_deleting(owner):
            decided = plan(owner, active, self._related(owner), self._clock.now())
            failure = await self._act(owner, decided)
        return await self._report(owner, active, len(terminating), failure)

    def _candidates(self, owner: Object) -> list[Object]:
        """The owner's own pods, and those that nobody controls."""
        owned = self._pods.store.by_index(CONTROLLER_UID, owner["metadata"]["uid"])
        return owned + self._pods.store.by_index(ORPHANS, owner["metadata"]["namespace"])

    def _related(self, owner: Object) -> list[Object]:
        """The pods of all owners that have the same owner (of one Deployment), this one's included."""
        above = controller_of(owner)
        siblings = self._owners.store.by_index(CONTROLLER_UID, above["uid"]) if above else [owner]
        uids = [sibling["metadata"]["uid"] for sibling in siblings]
        return [pod for uid in uids for pod in self._pods.store.by_index(CONTROLLER_UID, uid)]

    async def _act(self, owner: Object, decided: Plan) -> Exception | None:
        if decided.create:
            template = podlib.pod_from_template(owner, owner["spec"]["template"])
            return await self._control.create_all(owner, [template] * decided.create)
        return await self._control.delete_all(owner, decided.delete) if decided.delete else None

    async def _report(
        self, owner: Object, active: list[Object], terminating: int, failure: Exception | None
    ) -> Result | None:
        """Writes the status where it has changed, from the pods as they were before this round, as upstream does."""
        now = self._clock.now()
        is_replica_set = self._flavor.resource is REPLICA_SETS
        status = status_of(owner, active, terminating if is_replica_set else None, failure, now)
        if status != owner.get("status"):
            await self._owners.update_status({**owner, "status": status})
        if failure is not None:
            raise failure
        min_ready = int(owner["spec"].get("minReadySeconds") or 0)
        wait = podlib.next_available_in(active, min_ready, now) if min_ready else None
        return Result(max(wait, 0.01)) if wait is not None else None


class _PodEvents:
    """From a pod's changes to the owners to look at: its owner, its former owner, or who could adopt it."""

    def __init__(self, flavor: Flavor, owners: Collection) -> None:
        self._flavor = flavor
        self._owners = owners

    def keys(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        found = [k for pod in (old, new) if pod is not None for k in self._owner(pod)]
        yield from dict.fromkeys(found)
        if new is not None and controller_of(new) is None and not is_deleting(new):
            yield from self._adopters(new)

    def _owner(self, pod: Object) -> Iterable[Key]:
        reference = controller_of(pod)
        if reference is None or reference.get("kind") != self._flavor.resource.kind:
            return
        key = Key(pod["metadata"]["namespace"], reference["name"])
        owner = self._owners.get(key)
        if owner is not None and owner["metadata"]["uid"] == reference.get("uid"):
            yield key

    def _adopters(self, pod: Object) -> Iterable[Key]:
        if not labels_of(pod):
            return
        for owner in self._owners.store.list(pod["metadata"]["namespace"]):
            if self._flavor.selector(owner).matches(labels_of(pod)):
                yield key_of(owner)


def _label_selector(owner: Object) -> Selector:
    return selectors.from_label_selector((owner.get("spec") or {}).get("selector"))


def _map_selector(owner: Object) -> Selector:
    return selectors.from_map((owner.get("spec") or {}).get("selector"))


REPLICA_SET = Flavor(REPLICA_SETS, "replicaset-controller", "replicaset", _label_selector)
REPLICATION_CONTROLLER = Flavor(REPLICATION_CONTROLLERS, "replication-controller", "replicationmanager", _map_selector)


def _builder(flavor: Flavor) -> Callable[[Context], Sequence[Runnable]]:
    def build(context: Context) -> Sequence[Runnable]:
        index: dict[str, Any] = {CONTROLLER_UID: by_controller}
        owners = context.collection(flavor.resource, indexers=index)
        pods = context.collection(PODS, indexers={**index, ORPHANS: orphans_of})
        control = PodControl(pods, context.recorder(flavor.component))
        reconciler = ReplicaSetReconciler(flavor, owners, pods, control, context.clock)
        controller = context.controller(flavor.queue, reconciler)
        controller.watch(owners.informer)
        controller.watch(pods.informer, _PodEvents(flavor, owners).keys)
        return [controller]

    return build


CONTROLLER = ControllerSpec(
    "replicaset-controller", _builder(REPLICA_SET), alias="replicaset", syncs="concurrent_replicaset_syncs"
)
REPLICATION = ControllerSpec(
    "replicationcontroller-controller",
    _builder(REPLICATION_CONTROLLER),
    alias="replicationcontroller",
    account="replication-controller",
    syncs="concurrent_rc_syncs",
)
