"""What to do next for a StatefulSet: pure, from the set, its revisions and its pods.

Ordered sets act on one pod a step and wait for it; parallel ones act on all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers.lib.numbers import scaled
from controllers.lib.pods import is_available, is_ready, phase_of
from controllers.statefulset import identity
from kubeling.api.meta import Object, is_deleting, name_of


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision's name and the set with its template."""

    name: str
    owner: Object


@dataclass
class Plan:
    """``create``, ``delete``: pods; ``fix``: (pod, ordinal) whose identity is off;
    ``pending``: pods that wait, maybe for a claim that has been deleted; ``kept``: those of the wanted ordinals."""

    create: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    fix: list[tuple[Object, int]] = field(default_factory=list)
    pending: list[Object] = field(default_factory=list)
    kept: list[Object] = field(default_factory=list)
    condemned: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)


def plan(owner: Object, pods: Sequence[Object], current: Revision, update: Revision, now: datetime) -> Plan:
    """The next step and the status before it."""
    made = Plan(status=status_of(owner, pods, current.name, update.name, now))
    if is_deleting(owner):
        return made
    start, count = identity.start_of(owner), identity.replicas_of(owner)
    by_ordinal = {o: pod for pod in pods if (o := identity.ordinal_of(owner, pod)) is not None}
    slots = {o: by_ordinal.get(o) for o in range(start, start + count)}
    condemned = [by_ordinal[o] for o in sorted(by_ordinal, reverse=True) if o not in slots]
    made.kept, made.condemned = [pod for pod in slots.values() if pod is not None], condemned
    min_ready = int(owner["spec"].get("minReadySeconds") or 0)
    ordered = owner["spec"].get("podManagementPolicy") != "Parallel"
    if _fill(made, owner, slots, _Chooser(owner, current, update), ordered, min_ready, now):
        return made
    if _shrink(made, slots, condemned, ordered, min_ready, now):
        return made
    _roll(made, owner, slots, update.name, min_ready, now)
    return made


class _Chooser:
    """Which revision an ordinal's new pod has."""

    def __init__(self, owner: Object, current: Revision, update: Revision) -> None:
        self._current = current
        self._update = update
        self._start = identity.start_of(owner)
        self._partition = partition_of(owner)
        self._rolling = (owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
        self._current_replicas = int((owner.get("status") or {}).get("currentReplicas") or 0)

    def of(self, ordinal: int) -> Revision:
        kept = self._current_replicas if self._partition is None else self._partition
        needs_current = self._rolling and self._current.name != self._update.name and ordinal < self._start + kept
        return self._current if needs_current else self._update


def partition_of(owner: Object) -> int | None:
    """The rolling update's partition; None when it has none."""
    strategy = owner["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate" or not rolling:
        return None
    return int(rolling.get("partition") or 0)


def _fill(
    made: Plan,
    owner: Object,
    slots: dict[int, Object | None],
    chooser: _Chooser,
    ordered: bool,
    min_ready: int,
    now: datetime,
) -> bool:
    """Plans creation, replacement and repair of the wanted pods; True when an ordered set's step ends here."""
    for ordinal, pod in slots.items():
        if pod is None:
            revision = chooser.of(ordinal)
            made.create.append(identity.new_pod(revision.owner, revision.name, ordinal))
            if ordered:
                return True
            continue
        phase = phase_of(pod)
        if phase in ("Failed", "Succeeded"):
            if not is_deleting(pod):
                made.delete.append(pod)
            if ordered:
                return True
            continue
        if phase == "Pending":
            made.pending.append(pod)
        if ordered and not _stands(pod, min_ready, now):
            return True
        if not identity.identity_matches(owner, pod, ordinal) and not is_deleting(pod):
            made.fix.append((pod, ordinal))
    return False


def _shrink(
    made: Plan, slots: dict[int, Object | None], condemned: list[Object], ordered: bool, min_ready: int, now: datetime
) -> bool:
    """Plans the removal of surplus pods, highest ordinal first; True when the step ends here."""
    wanted = [pod for pod in slots.values() if pod is not None]
    first_unavailable = next((p for p in [*wanted, *reversed(condemned)] if not _stands(p, min_ready, now)), None)
    for pod in condemned:
        if is_deleting(pod):
            if ordered:
                return True
            continue
        ready = phase_of(pod) == "Running" and is_ready(pod) and is_available(pod, min_ready, now)
        if ordered and not ready and pod is not first_unavailable:
            return True
        made.delete.append(pod)
        if ordered:
            return True
    return False


def _stands(pod: Object, min_ready: int, now: datetime) -> bool:
    """Available, and not on its way out."""
    return identity.is_healthy(pod) and is_available(pod, min_ready, now)


def _roll(
    made: Plan, owner: Object, slots: dict[int, Object | None], update: str, min_ready: int, now: datetime
) -> None:
    """Plans the replacement of outdated pods, highest ordinal first, as many as may be unavailable."""
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return
    rolling = strategy.get("rollingUpdate") or {}
    limit = max(1, scaled(rolling.get("maxUnavailable", 1), identity.replicas_of(owner), round_up=True))
    first = identity.start_of(owner) + int(rolling.get("partition") or 0)
    going = {name_of(pod) for pod in made.delete}
    outdated, standing = {}, {}
    for ordinal, pod in slots.items():
        leaving = pod is None or is_deleting(pod) or name_of(pod) in going
        standing[ordinal] = pod is not None and not leaving and _stands(pod, min_ready, now)
        if pod is not None and not leaving and ordinal >= first and identity.revision_of(pod) != update:
            outdated[ordinal] = pod
    if limit == 1:
        highest = next(
            (o for o in sorted(slots, reverse=True) if o >= first and (o in outdated or not standing[o])), None
        )
        made.delete += [outdated[highest]] if highest in outdated else []
        return
    room = limit - sum(not stands for stands in standing.values())
    for ordinal in sorted(outdated, reverse=True):
        if not standing[ordinal]:
            made.delete.append(outdated[ordinal])  # a broken outdated pod costs no availability, wherever it stands
        elif room > 0:
            made.delete.append(outdated[ordinal])
            room -= 1


def status_of(owner: Object, pods: Sequence[Object], current: str, update: str, now: datetime) -> Object:
    """The status that the pods give."""
    old = owner.get("status") or {}
    min_ready = int(owner["spec"].get("minReadySeconds") or 0)
    ours = [p for p in pods if identity.ordinal_of(owner, p) is not None]
    created = [p for p in ours if identity.is_created(p)]
    staying = [p for p in created if not is_deleting(p)]
    ready = [p for p in created if phase_of(p) == "Running" and is_ready(p)]
    figures = {
        "observedGeneration": int(owner["metadata"].get("generation") or 0),
        "readyReplicas": len(ready),
        "currentReplicas": sum(identity.revision_of(p) == current for p in staying),
        "updatedReplicas": sum(identity.revision_of(p) == update for p in staying),
    }
    status: Object = {
        **{k: v for k, v in figures.items() if v},
        "replicas": len(created),
        "availableReplicas": sum(is_available(p, min_ready, now) for p in ready),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": int(old.get("collisionCount") or 0),
    }
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    return completed(owner, status)


def completed(owner: Object, status: Object) -> Object:
    """A rolling update that has reached every pod makes its revision the current one."""
    strategy = (owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate")
    whole = int(status["replicas"])
    figures = (int(status.get("updatedReplicas") or 0), int(status.get("readyReplicas") or 0))
    if strategy == "RollingUpdate" and figures == (whole, whole) and whole == identity.replicas_of(owner):
        done = {**status, "currentRevision": status["updateRevision"]}
        if whole:
            done["currentReplicas"] = whole
        return done
    return status
