"""What to do next for a DaemonSet: pure, from the set, the nodes and its pods on each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers.daemonset.nodes import HASH_LABEL, Placement
from controllers.lib.numbers import scaled
from controllers.lib.pods import is_available, is_ready, phase_of
from kubeling.api.meta import Object, is_deleting, labels_of, name_of

PodsByNode = Mapping[str, Sequence[Object]]


@dataclass
class Plan:
    """``create``: names of nodes; ``delete``: pods; ``failed``: those of them that had ended by themselves."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    failed: list[tuple[str, Object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class View:
    """All that a plan depends on. ``hashed`` is the wanted revision's hash."""

    owner: Object
    placements: Mapping[str, Placement]
    pods: PodsByNode
    hashed: str
    now: datetime

    @property
    def min_ready(self) -> int:
        return int(self.owner["spec"].get("minReadySeconds") or 0)

    @property
    def desired(self) -> int:
        return sum(p.run for p in self.placements.values())

    def is_new(self, pod: Object) -> bool:
        return labels_of(pod).get(HASH_LABEL) == self.hashed

    def available(self, pod: Object) -> bool:
        return is_available(pod, self.min_ready, self.now) and not is_deleting(pod)

    def limits(self) -> tuple[int, int]:
        """(maxSurge, maxUnavailable) in pods; never both 0, and 0 where the strategy is OnDelete."""
        strategy = self.owner["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return 0, 0
        rolling = strategy.get("rollingUpdate") or {}
        surge = scaled(rolling.get("maxSurge", 0), self.desired, round_up=True)
        unavailable = scaled(rolling.get("maxUnavailable", 1), self.desired, round_up=True)
        return surge, unavailable if surge or unavailable else 1


def plan(view: View) -> Plan:
    """Pods where they are missing, none where they do not belong; outdated ones replaced once that is settled."""
    made = Plan()
    for node, where in view.placements.items():
        _settle(made, view, node, where, list(view.pods.get(node, ())))
    for node, pods in view.pods.items():
        if node not in view.placements:
            made.delete += [p for p in pods if not is_deleting(p)]  # the node is gone
    if not (made.create or made.delete):
        surge, unavailable = view.limits()
        if surge:
            _roll_with_surge(made, view, surge)
        elif unavailable:
            _roll(made, view, unavailable)
    return made


def _settle(made: Plan, view: View, node: str, where: Placement, pods: list[Object]) -> None:
    if not where.stay:
        made.delete += [p for p in pods if not is_deleting(p)]
        return
    if not pods:
        if where.run:
            made.create.append(node)
        return
    running = []
    for pod in pods:
        if is_deleting(pod):
            continue
        if phase_of(pod) in ("Failed", "Succeeded"):
            made.failed.append((node, pod))
            made.delete.append(pod)
        else:
            running.append(pod)
    made.delete += _surplus(view, running)
    if not running and where.run and view.limits()[0] and not made.failed:
        made.create.append(node)  # surge: the replacement need not wait for the end of the old one


def _surplus(view: View, running: list[Object]) -> list[Object]:
    """All but the oldest pod; with surge, one old and one new may stand side by side."""
    oldest_first = sorted(running, key=lambda p: (p["metadata"].get("creationTimestamp") or "", name_of(p)))
    if not view.limits()[0]:
        ready_first = sorted(oldest_first, key=lambda p: not is_ready(p)) if len(oldest_first) > 1 else oldest_first
        return ready_first[1:]
    new = [p for p in oldest_first if view.is_new(p)]
    old = [p for p in oldest_first if not view.is_new(p)]
    return new[1:] + old[1:]


def _pair(view: View, node: str) -> tuple[Object | None, Object | None]:
    """The (new, old) pod of a node that is not on its way out."""
    pods = [p for p in view.pods.get(node, ()) if not is_deleting(p)]
    new = next((p for p in pods if view.is_new(p)), None)
    return new, next((p for p in pods if not view.is_new(p)), None)


def _roll(made: Plan, view: View, limit: int) -> None:
    """Deletes old pods, at most ``limit`` nodes without an available pod; broken old ones count for nothing."""
    unavailable, candidates = 0, []
    for node, where in view.placements.items():
        if not where.run:
            continue
        new, old = _pair(view, node)
        if old is None:
            unavailable += new is None or not view.available(new)
        elif not view.available(old):
            made.delete.append(old)
            unavailable += 1
        else:
            candidates.append(old)
    made.delete += candidates[: max(0, limit - unavailable)]


def _roll_with_surge(made: Plan, view: View, limit: int) -> None:
    """Creates new pods beside old ones on at most ``limit`` nodes, and takes the old one once the new is available."""
    surging, candidates = 0, []
    for node, where in view.placements.items():
        if not where.run:
            continue
        new, old = _pair(view, node)
        if old is None:
            continue
        if new is None:
            if view.available(old):
                candidates.append(node)
            else:
                made.create.append(node)
        elif view.available(new):
            made.delete.append(old)
        else:
            surging += 1
    made.create += candidates[: max(0, limit - surging)]


def status_of(view: View) -> Object:
    """The status that nodes and pods give."""
    old = view.owner.get("status") or {}
    names = ("currentNumberScheduled", "numberMisscheduled", "numberReady", "numberAvailable", "updated")
    counts = dict.fromkeys(names, 0)
    for node, where in view.placements.items():
        pods = sorted(view.pods.get(node, ()), key=lambda p: p["metadata"].get("creationTimestamp") or "")
        if not where.run:
            counts["numberMisscheduled"] += bool(pods)
        elif pods:
            counts["currentNumberScheduled"] += 1
            ready = next((p for p in pods if is_ready(p)), None)
            counts["numberReady"] += ready is not None
            counts["numberAvailable"] += any(is_available(p, view.min_ready, view.now) for p in pods)
            counts["updated"] += any(view.is_new(p) for p in pods)
    optional = {
        "updatedNumberScheduled": counts.pop("updated"),
        "numberAvailable": counts.pop("numberAvailable"),
        "observedGeneration": int(view.owner["metadata"].get("generation") or 0),
    }
    optional["numberUnavailable"] = view.desired - optional["numberAvailable"]
    status: Object = {**counts, "desiredNumberScheduled": view.desired, **{k: v for k, v in optional.items() if v}}
    for kept in ("collisionCount", "conditions"):
        if old.get(kept) is not None:
            status[kept] = old[kept]
    return status
