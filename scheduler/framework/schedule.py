"""The decision: which node a pod goes to. Pure: a snapshot, a profile and chance come in, a value goes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scheduler.framework.plugin import Check, Narrowed, Preemption
from scheduler.framework.profile import Profile
from scheduler.framework.status import Diagnosis, Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot, Trial

MIN_NODES = 100
MIN_PERCENTAGE = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """A node, or why there is none and whether place can be made.

    ``evaluated`` nodes were looked at, ``feasible`` of them fit; ``next_start`` is where the next search begins.
    ``after`` is to be written where there is no node.
    """

    node: str = ""
    evaluated: int = 0
    feasible: int = 0
    next_start: int = 0
    diagnosis: Diagnosis | None = None
    preemption: Preemption | None = None
    after: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """The checks that concern a pod, or the no that concerns all nodes; ``nodes`` when only some come into question."""

    checks: tuple[tuple[str, Check], ...] = ()
    rejection: Rejection | None = None
    nodes: frozenset[str] | None = None
    narrowed_by: tuple[str, ...] = ()

    def __call__(self, node: NodeInfo) -> Rejection | None:
        for name, check in self.checks:
            rejection = check(node)
            if rejection is not None:
                return rejection if rejection.plugin else replace(rejection, plugin=name)
        return None


def prepare(pod: PodInfo, snapshot: Snapshot, profile: Profile) -> Filters:
    """Runs the first half of every filter plugin."""
    checks: list[tuple[str, Check]] = []
    nodes: frozenset[str] | None = None
    narrowed_by: list[str] = []
    for plugin in profile.filters:
        name = plugin.name  # type: ignore[attr-defined]  # every plugin has one
        outcome = plugin.filter(pod, snapshot)
        if isinstance(outcome, Rejection):
            return Filters(rejection=replace(outcome, plugin=name))
        if isinstance(outcome, Narrowed):
            nodes = outcome.nodes if nodes is None else nodes & outcome.nodes
            narrowed_by.append(name)
            outcome = outcome.check
        if outcome is not None:
            checks.append((name, outcome))
    if nodes is not None and not nodes:
        who = f"s {_go_list(narrowed_by)} simultaneously" if len(narrowed_by) > 1 else f" {narrowed_by[0]}"
        text = f"node(s) didn't satisfy plugin{who}"
        return Filters(rejection=reject(text, final=True, plugin=",".join(narrowed_by)))
    return Filters(tuple(checks), None, nodes, tuple(narrowed_by))


def _go_list(names: Sequence[str]) -> str:
    return f"[{' '.join(sorted(names))}]"


def try_out(profile: Profile, pod: PodInfo, snapshot: Snapshot, node: NodeInfo) -> Rejection | None:
    """Whether the pod would fit a node in a snapshot."""
    filters = prepare(pod, snapshot, profile)
    return filters.rejection or filters(node)


def schedule(pod: PodInfo, snapshot: Snapshot, profile: Profile, rng: random.Random, start: int = 0) -> Decision:
    """Decides for one pod. ``start`` is the index of the node at which the search begins."""
    nodes = snapshot.nodes
    diagnosis = Diagnosis(len(nodes))
    if not nodes:
        return Decision(diagnosis=diagnosis)
    filters = prepare(pod, snapshot, profile)
    if filters.rejection is not None:
        diagnosis.prefilter = filters.rejection
        return _make_place(pod, snapshot, profile, diagnosis, start)
    feasible = _nominated(pod, snapshot, profile, filters)
    if not feasible:
        feasible = _feasible(pod, snapshot, profile, filters, start, diagnosis)
    next_start = (start + len(feasible) + len(diagnosis.by_node)) % len(nodes)
    if not feasible:
        return _make_place(pod, snapshot, profile, diagnosis, next_start)
    chosen = feasible[0] if len(feasible) == 1 else _best(pod, snapshot, profile, feasible, rng)
    return Decision(chosen.name, len(feasible) + len(diagnosis.by_node), len(feasible), next_start)


def _make_place(pod: PodInfo, snapshot: Snapshot, profile: Profile, diagnosis: Diagnosis, next_start: int) -> Decision:
    """The failure, with what the PostFilter plugins make of it: the first that can help does."""
    messages, after = [], []
    for plugin in profile.post_filters:
        result = plugin.post_filter(pod, snapshot, diagnosis, lambda *args: try_out(profile, *args))
        if result.after is not None:
            after.append(result.after)
        if result.message:
            messages.append(result.message)
        if result.preemption is not None:
            diagnosis.postfilter = ", ".join(messages)
            return Decision(
                diagnosis=diagnosis, next_start=next_start, preemption=result.preemption, after=tuple(after)
            )
    diagnosis.postfilter = ", ".join(messages)
    return Decision(diagnosis=diagnosis, next_start=next_start, after=tuple(after))


def _nominated(pod: PodInfo, snapshot: Snapshot, profile: Profile, filters: Filters) -> list[NodeInfo]:
    """The node for which place was made, when the pod fits there now."""
    node = snapshot.node(pod.nominated_node) if pod.nominated_node else None
    return [node] if node is not None and _check(pod, snapshot, profile, filters, node) is None else []


def _feasible(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, filters: Filters, start: int, diagnosis: Diagnosis
) -> list[NodeInfo]:
    """Nodes that fit, from ``start`` on, until there are enough to choose from."""
    nodes = snapshot.nodes
    if filters.nodes is not None:
        nodes = [n for n in nodes if n.name in filters.nodes]
        text = f"node(s) didn't satisfy plugin(s) {_go_list(filters.narrowed_by)}"
        diagnosis.absent = reject(text, final=True, plugin=",".join(filters.narrowed_by))
    wanted = enough(len(nodes), profile.percentage) if profile.scorers else 1
    offset = start % len(nodes) if nodes else 0
    feasible: list[NodeInfo] = []
    for node in (*nodes[offset:], *nodes[:offset]):
        rejection = _check(pod, snapshot, profile, filters, node)
        if rejection is not None:
            diagnosis.by_node[node.name] = rejection
            continue
        feasible.append(node)
        if len(feasible) >= wanted:
            break
    return feasible


def _check(pod: PodInfo, snapshot: Snapshot, profile: Profile, filters: Filters, node: NodeInfo) -> Rejection | None:
    """The filters on a node, also with the pods on it for which place was made there and that are as important."""
    rejection = filters(node)
    if rejection is not None:
        return rejection
    expected = [p for p in snapshot.nominated(node.name) if p.priority >= pod.priority and p.uid != pod.uid]
    if not expected:
        return None
    crowded = node.copy()
    for other in expected:
        crowded.add(other)
    return try_out(profile, pod, Trial(snapshot, crowded), crowded)


def enough(nodes: int, percentage: int) -> int:
    """How many nodes that fit are enough to choose from; a percentage of 0 adapts to the size of the cluster."""
    if nodes < MIN_NODES or percentage >= 100:
        return nodes
    if percentage == 0:
        percentage = max(50 - nodes // 125, MIN_PERCENTAGE)
    return max(nodes * percentage // 100, MIN_NODES)


def _best(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, nodes: Sequence[NodeInfo], rng: random.Random
) -> NodeInfo:
    """The node with the highest weighted score, by chance among equals."""
    totals = total_scores(pod, snapshot, profile, nodes)
    highest = max(totals)
    return nodes[rng.choice([i for i, total in enumerate(totals) if total == highest])]


def total_scores(pod: PodInfo, snapshot: Snapshot, profile: Profile, nodes: Sequence[NodeInfo]) -> list[float]:
    """The weighted sum of all plugins' scores for each node."""
    totals = [0.0] * len(nodes)
    for plugin in profile.scorers:
        scores = plugin.score(pod, snapshot, nodes)
        if scores is not None:
            weight = profile.weights[plugin.name]  # type: ignore[attr-defined]  # every plugin has one
            totals = [total + weight * score for total, score in zip(totals, scores, strict=True)]
    return totals
