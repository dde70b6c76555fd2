"""Plugins about resources: whether they are enough, and which node is used best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import MAX_SCORE, Filtering, Plugin, Scores
from scheduler.framework.status import Rejection
from scheduler.model.extended import asked_of_classes
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot

Weights = tuple[tuple[str, int], ...]
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def _weights(listed: Sequence[Mapping[str, Any]] | None) -> Weights:
    return tuple((r["name"], int(r.get("weight") or 1)) for r in listed or ({"name": "cpu"}, {"name": "memory"}))


def _requested(node: NodeInfo, name: str) -> int:
    """What the pods of a node ask for or, of cpu and memory, are assumed to use."""
    if name == "cpu":
        return node.assumed_cpu
    return node.assumed_memory if name == "memory" else node.requested.get(name, 0)


def _asked(pod: PodInfo, name: str) -> int:
    if name == "cpu":
        return pod.assumed[0]
    return pod.assumed[1] if name == "memory" else pod.requests.get(name, 0)


def _least(capacity: int, requested: int) -> int:
    return 0 if requested > capacity else (capacity - requested) * MAX_SCORE // capacity


def _most(capacity: int, requested: int) -> int:
    return min(requested, capacity) * MAX_SCORE // capacity


def _shaped(shape: Sequence[Mapping[str, Any]]) -> Callable[[int, int], int]:
    """RequestedToCapacityRatio: the score as a broken line over the utilisation; scores of 0 to 10 are scaled to 100."""
    points = [(int(p["utilization"]), int(p["score"]) * MAX_SCORE // 10) for p in shape]

    def score(capacity: int, requested: int) -> int:
        used = 100 if requested > capacity else requested * 100 // capacity
        before = points[0]
        for point in points:
            if used <= point[0]:
                if point is before:
                    return point[1]
                return before[1] + (point[1] - before[1]) * (used - before[0]) // (point[0] - before[0])
            before = point
        return points[-1][1]

    return score


class NodeResourcesFit(Plugin):
    """Every resource asked for must be free; scores by LeastAllocated, MostAllocated or RequestedToCapacityRatio."""

    name = "NodeResourcesFit"
    helped_by = frozenset(
        {
            ClusterEvent.POD_DELETED,
            ClusterEvent.POD_SCALED_DOWN,
            ClusterEvent.NODE_ADDED,
            ClusterEvent.NODE_ALLOCATABLE,
            ClusterEvent.DEVICE_CLASS,  # may offer what is asked for
            ClusterEvent.OWN_UPDATE,
        }
    )

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        self._ignored = frozenset(args.get("ignoredResources") or ())
        self._ignored_groups = frozenset(args.get("ignoredResourceGroups") or ())
        strategy = args.get("scoringStrategy") or {}
        self._weights = _weights(strategy.get("resources"))
        kind = strategy.get("type") or "LeastAllocated"
        if kind == "RequestedToCapacityRatio":
            self._rate = _shaped((strategy.get("requestedToCapacityRatio") or {}).get("shape") or ())
        else:
            self._rate = {"LeastAllocated": _least, "MostAllocated": _most}[kind]

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        asked = [(name, amount) for name, amount in pod.requests.items() if amount and not self._is_ignored(name)]
        if any("/" in name for name, _ in asked):
            return _with_devices(asked, snapshot)

        def check(node: NodeInfo) -> Rejection | None:
            if len(node.pods) + 1 <= node.allowed_pods:
                requested, allocatable = node.requested, node.allocatable
                for name, amount in asked:
                    if requested.get(name, 0) + amount > allocatable.get(name, 0):
                        break
                else:
                    return None
            return _insufficient(asked, node)

        return check

    def _is_ignored(self, name: str) -> bool:
        return name in self._ignored or ("/" in name and name.partition("/")[0] in self._ignored_groups)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        rate = self._rate
        if rate is _least and self._weights == (("cpu", 1), ("memory", 1)):
            return _least_of_two(pod, nodes)
        parts = [
            (name, weight, _asked(pod, name)) for name, weight in self._weights if name in _NATIVE or _asked(pod, name)
        ]
        return [_weighted(node, parts, rate) for node in nodes]


def _with_devices(asked: Sequence[tuple[str, int]], snapshot: Snapshot) -> Filtering:
    """What device classes offer is DynamicResources' business, on nodes that do not have it themselves."""
    offered = asked_of_classes(dict(asked), snapshot.listers.list("DeviceClass"))

    def check(node: NodeInfo) -> Rejection | None:
        own = [(name, amount) for name, amount in asked if name not in offered or node.allocatable.get(name)]
        return _insufficient(own, node)

    return check


def _least_of_two(pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[float]:
    """The default strategy, written out: it runs for hundreds of nodes for every pod."""
    cpu, memory = pod.assumed
    scores = []
    for node in nodes:
        all_cpu, all_memory = node.allocatable.get("cpu", 0), node.allocatable.get("memory", 0)
        if not all_cpu or not all_memory:
            scores.append(_weighted(node, [("cpu", 1, cpu), ("memory", 1, memory)], _least))
            continue
        free_cpu, free_memory = all_cpu - node.assumed_cpu - cpu, all_memory - node.assumed_memory - memory
        of_cpu = free_cpu * MAX_SCORE // all_cpu if free_cpu > 0 else 0
        of_memory = free_memory * MAX_SCORE // all_memory if free_memory > 0 else 0
        scores.append(float((of_cpu + of_memory) // 2))
    return scores


def _weighted(node: NodeInfo, parts: Sequence[tuple[str, int, int]], rate: Callable[[int, int], int]) -> float:
    """The weighted mean over the resources that the node has."""
    total = weights = 0
    for name, weight, asked in parts:
        capacity = node.allocatable.get(name, 0)
        if capacity:
            total += weight * rate(capacity, _requested(node, name) + asked)
            weights += weight
    return float(total // weights) if weights else 0.0


def _insufficient(asked: Sequence[tuple[str, int]], node: NodeInfo) -> Rejection | None:
    """Names everything that is short; final when the node is too small even when empty."""
    reasons = ["Too many pods"] if len(node.pods) + 1 > node.allowed_pods else []
    final = False
    for name, amount in asked:
        capacity = node.allocatable.get(name, 0)
        if node.requested.get(name, 0) + amount > capacity:
            reasons.append(f"Insufficient {name}")
            final = final or amount > capacity
    return Rejection(tuple(reasons), final) if reasons else None


class NodeResourcesBalancedAllocation(Plugin):
    """Nodes whose resources would be used in like measure."""

    name = "NodeResourcesBalancedAllocation"

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        self._names = [name for name, _ in _weights(args.get("resources"))]

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        asked = [(name, pod.requests.get(name, 0)) for name in self._names]
        if not any(amount for _, amount in asked):
            return None  # a pod that asks for nothing balances nothing
        return [_balance(node, asked) for node in nodes]


def _balance(node: NodeInfo, asked: Sequence[tuple[str, int]]) -> float:
    fractions = []
    for name, amount in asked:
        capacity = node.allocatable.get(name, 0)
        if capacity and (amount or name in _NATIVE):
            fractions.append(min(1.0, (node.requested.get(name, 0) + amount) / capacity))
    if len(fractions) == 2:
        deviation = abs(fractions[0] - fractions[1]) / 2
    elif len(fractions) > 2:
        mean = sum(fractions) / len(fractions)
        deviation = math.sqrt(sum((f - mean) ** 2 for f in fractions) / len(fractions))
    else:
        deviation = 0.0
    return float(int((1 - deviation) * MAX_SCORE))
