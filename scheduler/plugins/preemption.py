"""Making place for important pods (https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object, parse_time
from kubeling.api.selectors import from_label_selector
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Plugin, PostFiltered, Preemption, TryOut
from scheduler.framework.status import Diagnosis, Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot, Trial

_NOT_HELPFUL = reject("Preemption is not helpful for scheduling", final=True)
_NO_VICTIMS = reject("No preemption victims found for incoming pod", final=True)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, whom to evict there, and how many of those a disruption budget would protect."""

    node: str
    victims: tuple[PodInfo, ...]
    violations: int


class DefaultPreemption(Plugin):
    """Looks for the node where evicting less important pods does the least harm."""

    name = "DefaultPreemption"
    helped_by = frozenset({ClusterEvent.POD_DELETED})

    def __init__(self, args: Mapping[str, Any], rng: random.Random | None = None) -> None:
        super().__init__(args)
        self._percentage = int(args.get("minCandidateNodesPercentage") or 10)
        self._minimum = int(args.get("minCandidateNodesAbsolute") or 100)
        self._random = rng or random.Random()

    def post_filter(self, pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis, trial: TryOut) -> PostFiltered:
        problem = _not_eligible(pod, snapshot, diagnosis)
        if problem:
            return PostFiltered(f"preemption: {problem}")
        told = Diagnosis(diagnosis.nodes, absent=_NOT_HELPFUL)
        candidates = self._candidates(pod, snapshot, diagnosis, trial, told)
        if not candidates:
            return PostFiltered(f"preemption: {told.message()}")
        chosen = pick(candidates)
        return PostFiltered(preemption=Preemption(chosen.node, chosen.victims))

    def _candidates(
        self, pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis, trial: TryOut, told: Diagnosis
    ) -> list[Candidate]:
        """Nodes where eviction would help, enough of them to choose from; the noes of the others go into ``told``."""
        helpful = []
        for node in snapshot.nodes:
            rejection = diagnosis.rejection(node.name)
            if rejection is not None and not rejection.final:
                helpful.append(node)
        if not helpful:
            return []
        wanted = min(max(len(helpful) * self._percentage // 100, self._minimum), len(helpful))
        offset = self._random.randrange(len(helpful))
        budgets = snapshot.listers.list("PodDisruptionBudget")
        found: list[Candidate] = []
        spared = False
        for node in (*helpful[offset:], *helpful[:offset]):
            outcome = select_victims(pod, snapshot, node, trial, budgets)
            if isinstance(outcome, Rejection):
                told.by_node[node.name] = outcome
                continue
            found.append(outcome)
            spared = spared or not outcome.violations
            if spared and len(found) >= wanted:
                break
        return found


def _not_eligible(pod: PodInfo, snapshot: Snapshot, diagnosis: Diagnosis) -> str:
    """Why the pod may not preempt now; empty when it may."""
    if pod.spec.get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    node = snapshot.node(pod.nominated_node) if pod.nominated_node else None
    rejection = diagnosis.rejection(pod.nominated_node) if node is not None else None
    if node is None or (rejection is not None and rejection.final):
        return ""
    if any(p.deleting and p.priority < pod.priority and _was_preempted(p) for p in node.pods.values()):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def _was_preempted(pod: PodInfo) -> bool:
    conditions = (pod.obj.get("status") or {}).get("conditions") or ()
    return any(
        c.get("type") == "DisruptionTarget" and c.get("status") == "True" and c.get("reason") == "PreemptionByScheduler"
        for c in conditions
    )


def select_victims(
    pod: PodInfo, snapshot: Snapshot, node: NodeInfo, trial: TryOut, budgets: Sequence[Object]
) -> Candidate | Rejection:
    """The least that must go from a node: all lesser pods are taken off, then put back one by one as long as the pod fits."""
    lesser = [p for p in node.pods.values() if p.priority < pod.priority]
    if not lesser:
        return _NO_VICTIMS
    emptied = node.copy()
    for victim in lesser:
        emptied.remove(victim.uid)
    expected = [p for p in snapshot.nominated(node.name) if p.priority >= pod.priority and p.uid != pod.uid]
    for other in expected:
        emptied.add(other)

    def fits() -> Rejection | None:
        return trial(pod, Trial(snapshot, emptied), emptied)

    rejection = fits()
    if rejection is not None:
        return rejection
    violating, others = split_by_budget(sorted(lesser, key=_importance, reverse=True), budgets)
    victims: list[PodInfo] = []
    violations = 0
    for group in (violating, others):
        for victim in group:
            emptied.add(victim)
            if fits() is not None:
                emptied.remove(victim.uid)
                victims.append(victim)
                violations += group is violating
    return Candidate(node.name, tuple(sorted(victims, key=_importance, reverse=True)), violations)


def _importance(pod: PodInfo) -> tuple[int, float]:
    """More important: a higher priority or, with the same one, running for longer."""
    return pod.priority, -_started(pod)


def _started(pod: PodInfo) -> float:
    text = (pod.obj.get("status") or {}).get("startTime")
    return parse_time(text).timestamp() if text else float("inf")


def split_by_budget(pods: Iterable[PodInfo], budgets: Sequence[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Pods whose eviction a PodDisruptionBudget would not allow (those before them in order spent it), and the others."""
    parsed = [
        (
            b["metadata"].get("namespace"),
            from_label_selector((b.get("spec") or {}).get("selector")),
            b.get("status") or {},
        )
        for b in budgets
    ]
    left = [int(status.get("disruptionsAllowed") or 0) for _, _, status in parsed]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        violated = False
        for i, (namespace, selector, status) in enumerate(parsed):
            matched = namespace == pod.namespace and pod.labels and not selector.empty and selector.matches(pod.labels)
            if matched and pod.key.name not in (status.get("disruptedPods") or {}):
                left[i] -= 1
                violated = violated or left[i] < 0
        (violating if violated else others).append(pod)
    return violating, others


def pick(candidates: Sequence[Candidate]) -> Candidate:
    """The least harm: fewest violated budgets, then the least important victims, the smallest sum of priorities, the fewest
    victims, and the ones that started last."""

    def harm(candidate: Candidate) -> tuple[float, ...]:
        highest = max((p.priority for p in candidate.victims), default=-(1 << 31))
        # upstream shifts priorities so that many low ones never outweigh none at all
        total = sum(p.priority + (1 << 31) for p in candidate.victims)
        oldest = min((_started(p) for p in candidate.victims if p.priority == highest), default=float("inf"))
        return candidate.violations, highest, total, len(candidate.victims), -oldest

    return min(candidates, key=harm)
