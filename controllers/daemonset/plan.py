"""What to do next for a DaemonSet: pure, from the set, the nodes and its pods on each of them.

First every node is settled (``manage``); a rolling update takes its next step once nothing is left to settle (``roll``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers.daemonset.nodes import HASH_LABEL, Placement
from controllers.lib.numbers import scaled
from controllers.lib.pods import is_available, is_ready, phase_of
from kubeling.api.meta import Object, is_deleting, labels_of, name_of

PodsByNode = Mapping[str, Sequence[Object]]
NOWHERE = Placement(False, False)


@dataclass
class Plan:
    """``create``: names of nodes; ``delete``: pods; ``ended``: (node, pod) that ended by themselves and are to be deleted, too."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    ended: list[tuple[str, Object]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.create or self.delete or self.ended)


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

    @property
    def rolling(self) -> bool:
        strategy = self.owner["spec"].get("updateStrategy") or {}
        return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")

    @property
    def surges(self) -> bool:
        """True where a new pod may stand beside the old one."""
        return self._scaled("maxSurge", 0, 1) > 0

    def is_new(self, pod: Object) -> bool:
        return labels_of(pod).get(HASH_LABEL) == self.hashed

    def available(self, pod: Object) -> bool:
        return is_available(pod, self.min_ready, self.now)

    def limits(self) -> tuple[int, int]:
        """(maxSurge, maxUnavailable) in pods; never both 0, unless the strategy is OnDelete."""
        surge, unavailable = self._scaled("maxSurge", 0, self.desired), self._scaled("maxUnavailable", 1, self.desired)
        return surge, unavailable or int(self.rolling and not surge)

    def _scaled(self, limit: str, default: int, of: int) -> int:
        rolling = (self.owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        return scaled(rolling.get(limit, default), of, round_up=True) if self.rolling else 0


def by_seniority(pods: Iterable[Object]) -> list[Object]:
    """Those that are bound to their node first, then the oldest."""
    return sorted(
        pods,
        key=lambda p: (
            not (p.get("spec") or {}).get("nodeName"),
            p["metadata"].get("creationTimestamp") or "",
            name_of(p),
        ),
    )


def manage(view: View) -> Plan:
    """Pods where they are missing, none where they do not belong, one on each node."""
    made = Plan()
    for node, where in view.placements.items():
        pods = view.pods.get(node, ())
        if where.run and not pods:
            made.create.append(node)
        elif where.stay:
            _tidy(made, view, node, where, [p for p in pods if not is_deleting(p)])
        else:
            made.delete += [p for p in pods if not is_deleting(p)]
    for node, pods in view.pods.items():
        if node not in view.placements:  # what is bound to a node that is gone is the pod garbage collector's
            made.delete += [p for p in pods if not is_deleting(p) and not (p.get("spec") or {}).get("nodeName")]
    return made


def _tidy(made: Plan, view: View, node: str, where: Placement, pods: list[Object]) -> None:
    """Deletes what has ended and what is too many."""
    ended = [p for p in pods if phase_of(p) in ("Failed", "Succeeded")]
    made.ended += [(node, p) for p in ended]
    running = by_seniority(p for p in pods if p not in ended)
    if not view.surges:
        made.delete += running[1:]
    elif not pods and where.run:
        made.create.append(node)  # the replacement need not wait for the end of the old one
    else:
        made.delete += _superseded(view, running)


def _superseded(view: View, oldest_first: list[Object]) -> list[Object]:
    """All but the oldest of the new and the oldest of the old pods, which goes as soon as it is of no use."""
    new = [p for p in oldest_first if view.is_new(p)]
    old = [p for p in oldest_first if not view.is_new(p)]
    useless = new and old and (not is_ready(old[0]) or view.available(new[0]))
    return new[1:] + (old if useless else old[1:])


def roll(view: View) -> Plan:
    """The next step of a rolling update, when every node is settled."""
    surge, unavailable = view.limits()
    if not view.rolling:
        return Plan()
    return _roll_with_surge(view, surge) if surge else _roll(view, unavailable)


def _concerned(view: View) -> Iterable[str]:
    """The nodes with a pod or that want one."""
    yield from (node for node, where in view.placements.items() if where.run or view.pods.get(node))
    yield from (node for node in view.pods if node not in view.placements)


def _pair(view: View, node: str) -> tuple[Object | None, Object | None] | None:
    """The (new, old) pod of a node, of those that are not on their way out; None when there are too many."""
    pods = [p for p in view.pods.get(node, ()) if not is_deleting(p)]
    new, old = [p for p in pods if view.is_new(p)], [p for p in pods if not view.is_new(p)]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None), (old[0] if old else None)


def _roll(view: View, limit: int) -> Plan:
    """Deletes old pods: those that are not available, and others while less than ``limit`` nodes are without."""
    unavailable, broken, candidates = 0, [], []
    for node in _concerned(view):
        pair = _pair(view, node)
        if pair is None or (pair[0] is None) == (pair[1] is None):
            unavailable += 1  # to be settled first
        elif pair[0] is not None:
            unavailable += not view.available(pair[0])
        elif pair[1] is not None and not view.available(pair[1]):
            broken.append(pair[1])
            unavailable += 1
        elif pair[1] is not None:
            candidates.append(pair[1])
    return Plan(delete=broken + candidates[: max(0, limit - unavailable)])


def _roll_with_surge(view: View, limit: int) -> Plan:
    """Creates new pods beside old ones on at most ``limit`` nodes, and takes the old one once the new is available.

    Where no pod belongs any more, the old one goes only when enough others are available.
    """
    surging = available = 0
    made = Plan()
    candidates: list[str] = []
    misplaced: list[Object] = []
    for node in _concerned(view):
        pair = _pair(view, node)
        if pair is None:
            surging += 1
            continue
        new, old = pair
        standing = old if old is not None else new
        available += standing is not None and view.available(standing)
        if old is None:
            continue
        if new is None and not view.placements.get(node, NOWHERE).run:
            misplaced.append(old)
        elif new is None:
            (candidates if view.available(old) else made.create).append(node)
        elif view.available(new):
            made.delete.append(old)
        else:
            surging += 1
    made.delete += misplaced[: max(0, available - view.desired)]
    made.create += candidates[: max(0, limit - surging)]
    return made


def status_of(view: View) -> Object:
    """The status that nodes and pods give; of a node's pods the most senior one counts."""
    old = view.owner.get("status") or {}
    names = ("currentNumberScheduled", "numberMisscheduled", "numberReady", "numberAvailable", "updated")
    counts = dict.fromkeys(names, 0)
    for node, where in view.placements.items():
        pods = by_seniority(view.pods.get(node, ()))
        if not where.run:
            counts["numberMisscheduled"] += bool(pods)
        elif pods:
            counts["currentNumberScheduled"] += 1
            counts["numberReady"] += is_ready(pods[0])
            counts["numberAvailable"] += view.available(pods[0])
            counts["updated"] += view.is_new(pods[0])
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
