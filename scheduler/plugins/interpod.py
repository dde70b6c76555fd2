"""Pod affinity and anti-affinity (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scheduler.framework.events import WHERE_PODS_ARE, ClusterEvent
from scheduler.framework.plugin import MAX_SCORE, Filtering, Plugin, Scores
from scheduler.framework.status import Rejection, reject
from scheduler.model.counts import Question
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot
from scheduler.model.terms import PodTerm

Domain = tuple[str, str]
"""A topology key and a value of it."""


def _by_value(snapshot: Snapshot, question: Question, key: str) -> Counter[str]:
    """How many such pods each value of a topology key has."""
    totals: Counter[str] = Counter()
    for name, count in snapshot.count(question).items():
        node = snapshot.node(name)
        if node is not None and key in node.labels:
            totals[node.labels[key]] += count
    return totals


class InterPodAffinity(Plugin):
    """Near these pods, far from those; also what the pods that are there already demand of the new one."""

    name = "InterPodAffinity"
    helped_by = WHERE_PODS_ARE | {ClusterEvent.NAMESPACE}
    _AFFINITY = reject("node(s) didn't match pod affinity rules", final=True)
    _ANTI = reject("node(s) didn't match pod anti-affinity rules")
    _EXISTING = reject("node(s) didn't satisfy existing pods anti-affinity rules")

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        weight = args.get("hardPodAffinityWeight")
        self._hard_weight = 1 if weight is None else int(weight)
        self._ignore_existing = bool(args.get("ignorePreferredTermsOfExistingPods"))

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        wanted, unwanted = pod.affinity.required, pod.affinity.anti_required
        forbidden = self._forbidden(pod, snapshot)
        if not wanted and not unwanted and not forbidden:
            return None
        near = [(t.topology_key, _by_value(snapshot, Question(terms=wanted), t.topology_key)) for t in wanted]
        far = [(t.topology_key, _by_value(snapshot, Question(terms=(t,)), t.topology_key)) for t in unwanted]
        # the first pod of a group that wants to be near its own kind may go anywhere
        first = wanted and not any(values for _, values in near)
        first = first and all(t.selects(pod.namespace, pod.labels, snapshot.namespace_labels) for t in wanted)

        def check(node: NodeInfo) -> Rejection | None:
            labels = node.labels
            for key, values in near:
                if key not in labels or not (values[labels[key]] or first):
                    return self._AFFINITY
            for key, values in far:
                if key in labels and values[labels[key]]:
                    return self._ANTI
            for key, blocked in forbidden.items():
                if labels.get(key) in blocked:
                    return self._EXISTING
            return None

        return check

    def _forbidden(self, pod: PodInfo, snapshot: Snapshot) -> dict[str, set[str]]:
        """The domains that pods which are there keep this one out of: topology key to values."""
        selects = _Selects(pod, snapshot)
        found: dict[str, set[str]] = {}
        for node, other in snapshot.with_affinity():
            for term in other.affinity.anti_required:
                value = node.labels.get(term.topology_key)
                if value is not None and selects(term):
                    found.setdefault(term.topology_key, set()).add(value)
        return found

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        weights: Counter[Domain] = Counter()
        for sign, terms in ((1, pod.affinity.preferred), (-1, pod.affinity.anti_preferred)):
            for term in terms:
                for value, count in _by_value(snapshot, Question(terms=(term,)), term.topology_key).items():
                    weights[term.topology_key, value] += sign * term.weight * count
        if not self._ignore_existing or pod.affinity.preferred or pod.affinity.anti_preferred:
            self._add_existing(pod, snapshot, weights)
        if not weights:
            return None
        keys = {key for key, _ in weights}
        sums = [sum(weights[key, n.labels[key]] for key in keys if key in n.labels) for n in nodes]
        low, high = min(sums), max(sums)
        return [float(int(MAX_SCORE * (s - low) / (high - low))) if high > low else 0.0 for s in sums]

    def _add_existing(self, pod: PodInfo, snapshot: Snapshot, weights: Counter[Domain]) -> None:
        """What pods that are there would like of the new one; their required affinity counts as a like."""
        selects = _Selects(pod, snapshot)
        for node, other in snapshot.with_affinity():
            for weight, term in self._likes(other):
                value = node.labels.get(term.topology_key)
                if weight and value is not None and selects(term):
                    weights[term.topology_key, value] += weight

    def _likes(self, pod: PodInfo) -> Iterable[tuple[int, PodTerm]]:
        affinity = pod.affinity
        yield from ((self._hard_weight, t) for t in affinity.required)
        yield from ((t.weight, t) for t in affinity.preferred)
        yield from ((-t.weight, t) for t in affinity.anti_preferred)


class _Selects:
    """Whether a term means the pod, asked once for each of the terms that many pods share."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot) -> None:
        self._pod = pod
        self._snapshot = snapshot
        self._known: dict[int, bool] = {}

    def __call__(self, term: PodTerm) -> bool:
        known = self._known.get(id(term))
        if known is None:
            known = term.selects(self._pod.namespace, self._pod.labels, self._snapshot.namespace_labels)
            self._known[id(term)] = known
        return known
