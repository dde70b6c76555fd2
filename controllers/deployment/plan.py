"""What to do next for a deployment, as a value: pure, from the deployment, its ReplicaSets and their pods.

One call plans one step; the next call, once the world has changed, plans the next. The order of decisions is upstream's:
pause, scaling, then the strategy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime

from controllers.deployment import conditions, sizes
from controllers.deployment.revisions import (
    REVISION,
    annotated,
    disposable,
    find_new,
    new_replica_set,
    next_revision,
    old_ones,
    revision_of,
    with_size,
)
from controllers.lib.pods import phase_of
from kubeling.api.meta import Object, annotations_of, condition_of, is_deleting, name_of, uid_of

Pods = Mapping[str, Sequence[Object]]
"""Pods by the uid of their ReplicaSet; needed for Recreate only."""


@dataclass
class Plan:
    """Carry it out in this order: ``create``, ``updates`` (before, after), ``deletes``, then write ``deployment``."""

    deployment: Object
    create: Object | None = None
    updates: list[tuple[Object, Object]] = field(default_factory=list)
    deletes: list[Object] = field(default_factory=list)
    requeue_after: float | None = None


def plan(deployment: Object, replica_sets: Sequence[Object], pods: Pods, now: datetime) -> Plan:
    """The next step of the rollout."""
    deleting = is_deleting(deployment)
    if not deleting:
        deployment = _with_status(deployment, lambda status: conditions.pause_condition(deployment, status, now))
    new = find_new(deployment, replica_sets)
    rollout = _Rollout(deployment, new, old_ones(replica_sets, new), now)
    rollout.claim_revision()
    paused = bool(deployment["spec"].get("paused"))
    if deleting:
        return _finish(rollout)
    if paused or _is_scaling(deployment, replica_sets):
        rollout.scale()
        if paused:
            rollout.clean_up()
        return _finish(rollout)
    if sizes.is_rolling(deployment):
        _roll(rollout)
    else:
        _recreate(rollout, pods)
    return _finish(rollout, rolling=True)


def _is_scaling(deployment: Object, replica_sets: Sequence[Object]) -> bool:
    """True when the wanted size is not the one that the running ReplicaSets were sized for."""
    marks = [annotations_of(rs).get(sizes.DESIRED, "") for rs in sizes.active(replica_sets)]
    return any(mark.isdigit() and int(mark) != sizes.size(deployment) for mark in marks)


def _roll(rollout: _Rollout) -> None:
    if rollout.new is None:
        rollout.create()
    elif not rollout.grow_new():
        rollout.shrink_old()
        rollout.clean_up_when_complete()


def _recreate(rollout: _Rollout, pods: Pods) -> None:
    if rollout.empty_old() or _old_pods_run(rollout, pods):
        return
    if rollout.new is None:
        rollout.create()
    else:
        rollout.resize(rollout.new, sizes.size(rollout.deployment))
        rollout.clean_up_when_complete()


def _old_pods_run(rollout: _Rollout, pods: Pods) -> bool:
    if sizes.total_count(rollout.old, "replicas") > 0 or not all(sizes.is_observed(rs) for rs in rollout.old):
        return True  # one that does not know its size yet may still be making pods
    new_uid = uid_of(rollout.new) if rollout.new is not None else ""
    others = (pod for uid, owned in pods.items() if uid != new_uid for pod in owned)
    return any(phase_of(pod) not in ("Succeeded", "Failed") for pod in others)


class _Rollout:
    """The working copy of a plan: the ReplicaSets as they shall be, beside what they were."""

    def __init__(self, deployment: Object, new: Object | None, old: list[Object], now: datetime) -> None:
        self.deployment = deployment
        self.new = new
        self.old = sizes.by_age(old)
        self.now = now
        self.plan = Plan(deployment)
        self._before = {uid_of(rs): rs for rs in self.all()}
        self._touched: dict[str, None] = {}

    def all(self) -> list[Object]:
        return [*self.old, *([self.new] if self.new is not None else [])]

    def changed(self) -> list[tuple[Object, Object]]:
        """(before, after) of what differs, in the order in which it was first touched."""
        after = {uid_of(rs): rs for rs in self.all()}
        pairs = ((self._before[uid], after[uid]) for uid in self._touched)
        return [(before, after) for before, after in pairs if before != after]

    def resize(self, rs: Object, replicas: int, *, mark: bool = False) -> bool:
        """Gives the ReplicaSet that size; True when it had another. ``mark`` renews its annotations in any case."""
        changed = sizes.size(rs) != replicas
        if not changed and not mark:
            return False
        self._replace(rs, with_size(self.deployment, rs, replicas))
        return changed

    def _replace(self, rs: Object, by: Object) -> None:
        self._touched[uid_of(rs)] = None
        if self.new is not None and uid_of(rs) == uid_of(self.new):
            self.new = by
        else:
            self.old = [by if uid_of(o) == uid_of(rs) else o for o in self.old]

    def claim_revision(self) -> None:
        """Gives the new ReplicaSet the highest revision, and the deployment the same."""
        new = self.new
        if new is None:
            return
        marked = annotated(self.deployment, new, next_revision(self.old))
        seconds = int(self.deployment["spec"].get("minReadySeconds") or 0)
        if int(marked["spec"].get("minReadySeconds") or 0) != seconds:
            marked = {**marked, "spec": {**marked["spec"], "minReadySeconds": seconds}}
        self._replace(new, marked)
        self.deployment = _with_revision(self.deployment, revision_of(marked))
        self._progressing("FoundNewReplicaSet", f'Found new replica set "{name_of(new)}"', only_first=True)

    def _progressing(self, reason: str, message: str, *, only_first: bool = False) -> None:
        deployment = self.deployment
        if conditions.deadline_of(deployment) is None or (only_first and condition_of(deployment, "Progressing")):
            return
        self.deployment = _with_status(
            deployment, lambda status: conditions.put(status, "Progressing", "True", reason, message, self.now)
        )

    def create(self) -> None:
        """Plans the new ReplicaSet; nothing else happens in this step."""
        made = new_replica_set(self.deployment, self.old)
        self.plan.create = made
        self.deployment = _with_revision(self.deployment, revision_of(made))
        self._progressing("NewReplicaSetCreated", f'Created new replica set "{name_of(made)}"')

    def grow_new(self) -> bool:
        """Brings the new ReplicaSet nearer to the wanted size; True when that changed anything."""
        assert self.new is not None
        wanted = sizes.size(self.deployment)
        if sizes.size(self.new) > wanted:
            return self.resize(self.new, wanted)
        return self.resize(self.new, sizes.size_of_new(self.deployment, self.all(), self.new))

    def shrink_old(self) -> None:
        """Takes from the old ReplicaSets what availability allows: unhealthy pods first, then the oldest."""
        if self.new is None or sizes.total_size(self.old) == 0:
            return
        least = sizes.size(self.deployment) - sizes.max_unavailable(self.deployment)
        missing = sizes.size(self.new) - sizes.available(self.new)
        spare = sizes.total_size(self.all()) - least - missing
        if spare <= 0:
            return
        for rs in self.old:
            unhealthy = sizes.size(rs) - sizes.available(rs)
            gone = min(spare, unhealthy) if sizes.size(rs) > 0 else 0
            if gone > 0:
                self.resize(rs, sizes.size(rs) - gone)
                spare -= gone
        surplus = sum(sizes.available(rs) for rs in self.all()) - least
        for rs in self.old:
            gone = min(surplus, sizes.size(rs))
            if gone > 0:
                self.resize(rs, sizes.size(rs) - gone)
                surplus -= gone

    def empty_old(self) -> bool:
        """Takes all pods from the old ReplicaSets; True when there were any."""
        return any([self.resize(rs, 0) for rs in self.old if sizes.size(rs) > 0])

    def scale(self) -> None:
        """Follows a changed size without moving the rollout on."""
        wanted = sizes.size(self.deployment)
        running = sizes.active(self.all())
        if len(running) <= 1:
            chosen = running[0] if running else self.new or (self.old[-1] if self.old else None)
            if chosen is not None:
                self.resize(chosen, wanted, mark=True)
        elif sizes.is_saturated(self.deployment, self.new):
            self.empty_old()
        elif sizes.is_rolling(self.deployment):
            shares = sizes.proportional(self.deployment, self.new, self.old)
            by_uid = {uid_of(rs): rs for rs in self.all()}
            for uid, share in shares.items():
                self.resize(by_uid[uid], share, mark=True)

    def clean_up(self) -> None:
        limit = self.deployment["spec"].get("revisionHistoryLimit")
        if limit is not None and limit != conditions.NEVER:
            self.plan.deletes = disposable(self.old, int(limit))

    def clean_up_when_complete(self) -> None:
        if conditions.is_complete(self.deployment, self.deployment.get("status") or {}):
            self.clean_up()


def _finish(rollout: _Rollout, *, rolling: bool = False) -> Plan:
    """Adds the status that the ReplicaSets give as they stand; progress is judged where the rollout may move on."""
    made, now, deployment = rollout.plan, rollout.now, rollout.deployment
    made.updates = rollout.changed()
    if made.create is not None:
        made.deployment = deployment
        return made
    status = _figures(rollout)
    conditions.availability(deployment, status, now)
    if rolling:
        conditions.progress(deployment, status, rollout.new, now)
        conditions.failures(status, rollout.new, rollout.old)
        made.requeue_after = conditions.seconds_to_deadline(deployment, status, now)
    made.deployment = {**deployment, "status": status}
    return made


def _figures(rollout: _Rollout) -> Object:
    deployment, everything = rollout.deployment, rollout.all()
    old = deployment.get("status") or {}
    available = sizes.total_count(everything, "availableReplicas")
    figures = {
        "observedGeneration": int(deployment["metadata"].get("generation") or 0),
        "replicas": sizes.total_count(everything, "replicas"),
        "updatedReplicas": sizes.count(rollout.new, "replicas") if rollout.new is not None else 0,
        "readyReplicas": sizes.total_count(everything, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sizes.total_size(everything) - available),
    }
    status: Object = {k: v for k, v in figures.items() if v}
    if (terminating := sizes.total_terminating(everything)) is not None:
        status["terminatingReplicas"] = terminating
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    status["conditions"] = deepcopy(old.get("conditions") or [])
    return status


def _with_revision(deployment: Object, revision: int) -> Object:
    if annotations_of(deployment).get(REVISION) == str(revision):
        return deployment
    marked = {**annotations_of(deployment), REVISION: str(revision)}
    return {**deployment, "metadata": {**deployment["metadata"], "annotations": marked}}


def _with_status(deployment: Object, change: object) -> Object:
    status = deepcopy(deployment.get("status") or {})
    assert callable(change)
    change(status)
    return {**deployment, "status": status}
