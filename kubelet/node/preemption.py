"""Who has to go so that a critical pod finds room (pkg/kubelet/preemption/preemption.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubelet.node.admission import amount_of, not_ended, shortages
from kubelet.pods import spec as podspec
from kubelet.pods.qos import BEST_EFFORT, BURSTABLE, GUARANTEED, qos_class
from kubelet.pods.requests import Amounts, pod_requests
from kubelet.pods.room import NoVictims, Preemption
from kubeling.api.meta import Object

_NONE = "preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: "
# what a pod is short of by resource, as ``Shortage.missing`` counts
Missing = Mapping[str, int]


def victims(pod: Object, others: Iterable[Object], allocatable: Mapping[str, str]) -> Preemption:
    """As few pods as possible, and of the least class of service; nobody for a pod that is not critical or finds room.

    Raises NoVictims.
    """
    running = not_ended(others)
    short = shortages(pod, running, allocatable) if podspec.is_critical(pod) else []
    if not short:
        return Preemption()
    missing = {s.name: s.missing for s in short}
    classes: dict[str, list[Object]] = {BEST_EFFORT: [], BURSTABLE: [], GUARANTEED: []}
    for other in running:
        if preemptable(pod, other):
            classes[qos_class(other)].append(other)
    best_effort, burstable, guaranteed = classes[BEST_EFFORT], classes[BURSTABLE], classes[GUARANTEED]
    if left := _less(missing, [*best_effort, *burstable, *guaranteed]):
        raise NoVictims(_NONE + "[" + "".join(f"(res: {name}, q: {amount}), " for name, amount in left.items()) + "]")
    # of each class those without whom all pods of lesser classes would not do
    first = _nearest(guaranteed, _less(missing, [*best_effort, *burstable]))
    second = _nearest(burstable, _less(missing, [*best_effort, *first]))
    third = _nearest(best_effort, _less(missing, [*second, *first]))
    return Preemption((*third, *second, *first), short[0].name)


def preemptable(preemptor: Object, other: Object) -> bool:
    """Critical pods go before those that are not, and before critical ones of lower priority."""
    if podspec.is_critical(preemptor) and not podspec.is_critical(other):
        return True
    own, theirs = podspec.spec_of(preemptor).get("priority"), podspec.spec_of(other).get("priority")
    return own is not None and theirs is not None and int(own) > int(theirs)


def _less(missing: Missing, pods: Iterable[Object]) -> dict[str, int]:
    """What is still missing once these have gone."""
    freed = [pod_requests(p) for p in pods]
    left = {name: amount - sum(amount_of(requests, name) for requests in freed) for name, amount in missing.items()}
    return {name: amount for name, amount in left.items() if amount > 0}


def _nearest(pods: Iterable[Object], missing: Missing) -> list[Object]:
    """One after the other whoever leaves the least missing, of equals the smaller; there are enough of them."""
    candidates, chosen = list(pods), []
    while missing:
        best = min(candidates, key=lambda p: _rank(pod_requests(p), missing))
        candidates.remove(best)
        chosen.append(best)
        missing = _less(missing, [best])
    return chosen


def _rank(requests: Amounts, missing: Missing) -> tuple[float, int, int]:
    """The squared parts that would stay missing, each resource weighing the same; then memory and processors."""
    parts = (max(0, amount - amount_of(requests, name)) / amount for name, amount in missing.items())
    return sum(part**2 for part in parts), amount_of(requests, "memory"), amount_of(requests, "cpu")
