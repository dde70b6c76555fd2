"""Plugins about one node and one pod: names, cordons, taints, node affinity, host ports, images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeling.api.placement import node_term, node_terms, tolerates, untolerated
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import MAX_SCORE, Filtering, Narrowed, Plugin, Scores, normalized
from scheduler.framework.status import Rejection, reject
from scheduler.model.node import NodeInfo
from scheduler.model.pod import HostPort, PodInfo
from scheduler.model.snapshot import Listers, Snapshot
from scheduler.model.terms import Weighted

_HARD = ("NoSchedule", "NoExecute")
_CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class SchedulingGates(Plugin):
    """Pods with gates do not enter the queue."""

    name = "SchedulingGates"
    helped_by = frozenset({ClusterEvent.OWN_UPDATE})

    def pre_enqueue(self, pod: PodInfo, listers: Listers) -> Rejection | None:
        if not pod.spec.get("schedulingGates"):
            return None
        return reject("Scheduling is blocked due to non-empty scheduling gates", final=True)


class PrioritySort(Plugin):
    """The highest priority first, then the one that has waited longest."""

    name = "PrioritySort"

    def sort_key(self, pod: PodInfo, queued_at: float) -> tuple[float, ...]:
        return (-pod.priority, queued_at)


class NodeName(Plugin):
    """A pod that names its node."""

    name = "NodeName"
    helped_by = frozenset({ClusterEvent.NODE_ADDED})
    _NO = reject("node(s) didn't match the requested node name", final=True)

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        wanted = pod.node_name
        return (lambda node: None if node.name == wanted else self._NO) if wanted else None


class NodeUnschedulable(Plugin):
    """Cordoned nodes take only pods that tolerate that."""

    name = "NodeUnschedulable"
    helped_by = frozenset({ClusterEvent.NODE_ADDED, ClusterEvent.NODE_TAINTS, ClusterEvent.OWN_UPDATE})
    _NO = reject("node(s) were unschedulable", final=True)

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        if any(tolerates(t, _CORDON) for t in pod.tolerations):
            return None
        return lambda node: self._NO if node.unschedulable else None


class TaintToleration(Plugin):
    """Hard taints keep pods away, soft ones (PreferNoSchedule) cost score."""

    name = "TaintToleration"
    helped_by = frozenset({ClusterEvent.NODE_ADDED, ClusterEvent.NODE_TAINTS, ClusterEvent.OWN_UPDATE})
    _NO = reject("node(s) had untolerated taint(s)", final=True)

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        tolerations = pod.tolerations
        return lambda node: self._NO if node.taints and untolerated(node.taints, tolerations, _HARD) else None

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        tolerations = [t for t in pod.tolerations if t.get("effect") in (None, "", "PreferNoSchedule")]
        counts = [_disliked(node.taints, tolerations) if node.taints else 0 for node in nodes]
        return normalized(counts, reverse=True) if any(counts) else None


def _disliked(taints: Sequence[Mapping[str, Any]], tolerations: Sequence[Mapping[str, Any]]) -> int:
    soft = (t for t in taints if t.get("effect") == "PreferNoSchedule")
    return sum(not any(tolerates(toleration, taint) for toleration in tolerations) for taint in soft)


class NodeAffinity(Plugin):
    """nodeSelector and node affinity, and the affinity that the profile's ``addedAffinity`` gives to every pod."""

    name = "NodeAffinity"
    helped_by = frozenset({ClusterEvent.NODE_ADDED, ClusterEvent.NODE_LABELS, ClusterEvent.OWN_UPDATE})
    _NO = reject("node(s) didn't match Pod's node affinity/selector", final=True)
    _ENFORCED = reject("node(s) didn't match scheduler-enforced node affinity", final=True)
    _CONFLICT = reject("pod affinity terms conflict", final=True)

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        added = args.get("addedAffinity") or {}
        self._added = node_terms(added.get("requiredDuringSchedulingIgnoredDuringExecution"))
        preferred = added.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        self._added_preferred = tuple(Weighted(int(t["weight"]), node_term(t["preference"])) for t in preferred)

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        terms = pod.required_nodes
        if not pod.node_selector and terms is None and self._added is None:
            return None
        names = _names(pod)
        if names is not None and not names and any(t.names() == frozenset() for t in terms or ()):
            return self._CONFLICT

        def check(node: NodeInfo) -> Rejection | None:
            if self._added is not None and not any(t.matches(node.name, node.labels) for t in self._added):
                return self._ENFORCED
            return None if pod.fits_node_affinity(node.name, node.labels) else self._NO

        return check if names is None else Narrowed(names, check)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        terms = (*pod.preferred_nodes, *self._added_preferred)
        if not terms:
            return None
        return normalized([sum(w.weight for w in terms if w.term.matches(n.name, n.labels)) for n in nodes])


def _names(pod: PodInfo) -> frozenset[str] | None:
    """The node names to which every term restricts the pod (as a DaemonSet's pods are); None without that."""
    found: frozenset[str] = frozenset()
    for term in pod.required_nodes or ():
        names = term.names()
        if names is None:
            return None
        found |= names
    return found if pod.required_nodes else None


class NodePorts(Plugin):
    """Host ports are taken once a node."""

    name = "NodePorts"
    helped_by = frozenset({ClusterEvent.POD_DELETED, ClusterEvent.NODE_ADDED})
    _NO = reject("node(s) didn't have free ports for the requested pod ports")

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        wanted = pod.ports
        if not wanted:
            return None
        return lambda node: self._NO if node.ports and any(_taken(p, node.ports) for p in wanted) else None


def _taken(wanted: HostPort, ports: Mapping[HostPort, int]) -> bool:
    """0.0.0.0 conflicts with every address."""
    host, protocol, number = wanted
    if host == "0.0.0.0":
        return any((p, n) == (protocol, number) for _, p, n in ports)
    return wanted in ports or ("0.0.0.0", protocol, number) in ports


class ImageLocality(Plugin):
    """Nodes that have the pod's images already; images that few nodes have count less, lest all pods go there."""

    name = "ImageLocality"
    _LOW, _HIGH = 23 << 20, 1000 << 20

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        images = pod.images
        spread = {image: snapshot.image_nodes(image) / max(1, len(snapshot.nodes)) for image in images}
        if not any(spread.values()):
            return None
        high = self._HIGH * len(images)
        return [self._scaled(sum(n.images.get(i, 0) * spread[i] for i in images), high) for n in nodes]

    def _scaled(self, total: float, high: int) -> float:
        bounded = min(max(total, self._LOW), high)
        return float(int(MAX_SCORE * (bounded - self._LOW) / (high - self._LOW)))
