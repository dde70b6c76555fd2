"""Pod topology spread (https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import controller_of
from kubeling.api.placement import untolerated
from kubeling.api.selectors import Requirement, Selector, from_label_selector, from_map
from scheduler.framework.events import WHERE_PODS_ARE, ClusterEvent
from scheduler.framework.plugin import MAX_SCORE, Filtering, Plugin, Scores
from scheduler.framework.status import Rejection, reject
from scheduler.model.counts import Question
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import Snapshot

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
# what upstream does for pods without constraints of their own
SYSTEM_DEFAULTS = (
    {"topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3},
    {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 5},
)
_OWNERS = ("ReplicaSet", "StatefulSet", "ReplicationController")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of a pod, parsed."""

    key: str
    hard: bool
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


def _constraint(listed: Mapping[str, Any], pod: PodInfo, selector: Selector | None = None) -> Constraint:
    if selector is None:
        selector = from_label_selector(listed.get("labelSelector"))
        own = [Requirement(k, "in", (pod.labels[k],)) for k in listed.get("matchLabelKeys") or () if k in pod.labels]
        # an API server may have merged the keys into the selector already
        own = [r for r in own if r not in selector.requirements]
        selector = Selector((*selector.requirements, *own), selector.nothing)
    return Constraint(
        key=listed["topologyKey"],
        hard=(listed.get("whenUnsatisfiable") or "DoNotSchedule") == "DoNotSchedule",
        max_skew=int(listed["maxSkew"]),
        selector=selector,
        min_domains=int(listed.get("minDomains") or 1),
        honor_affinity=listed.get("nodeAffinityPolicy") != "Ignore",
        honor_taints=listed.get("nodeTaintsPolicy") == "Honor",
    )


class PodTopologySpread(Plugin):
    """Pods of a kind are spread over zones, nodes or any other domains."""

    name = "PodTopologySpread"
    helped_by = WHERE_PODS_ARE | {ClusterEvent.NODE_TAINTS, ClusterEvent.OWN_UPDATE}
    _MISSING = reject("node(s) didn't match pod topology spread constraints (missing required label)", final=True)
    _NO = reject("node(s) didn't match pod topology spread constraints")

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        own_defaults = args.get("defaultingType") == "List"
        self._system = not own_defaults
        self._defaults: Iterable[Mapping[str, Any]] = (
            (args.get("defaultConstraints") or ()) if own_defaults else SYSTEM_DEFAULTS
        )

    def _constraints(self, pod: PodInfo, snapshot: Snapshot, *, hard: bool) -> list[Constraint]:
        """The pod's own constraints of that hardness or, when it has none of any, the defaults."""
        listed = pod.spec.get("topologySpreadConstraints")
        if listed:
            return [c for c in (_constraint(x, pod) for x in listed) if c.hard == hard]
        wanted = [
            d for d in self._defaults if ((d.get("whenUnsatisfiable") or "DoNotSchedule") == "DoNotSchedule") == hard
        ]
        if not wanted:
            return []
        selector = default_selector(pod, snapshot)
        return [] if selector.empty else [_constraint(d, pod, selector) for d in wanted]

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Filtering:
        constraints = self._constraints(pod, snapshot, hard=True)
        if not constraints:
            return None
        keys = [c.key for c in constraints]
        parts = [(c, _by_domain(c, pod, snapshot, keys), int(c.selector.matches(pod.labels))) for c in constraints]
        bounds = [(c, counts, own + _gap(c, counts)) for c, counts, own in parts]

        def check(node: NodeInfo) -> Rejection | None:
            for constraint, counts, base in bounds:
                value = node.labels.get(constraint.key)
                if value is None:
                    return self._MISSING
                if counts.get(value, 0) + base > constraint.max_skew:
                    return self._NO
            return None

        return check

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Scores:
        constraints = self._constraints(pod, snapshot, hard=False)
        if not constraints:
            return None
        keys = [c.key for c in constraints]
        # of the system's defaults a node need not have all labels
        strict = bool(pod.spec.get("topologySpreadConstraints")) or not self._system
        ignored = [strict and any(k not in n.labels for k in keys) for n in nodes]
        totals = [0.0] * len(nodes)
        for constraint in constraints:
            _add_scores(constraint, pod, snapshot, nodes, ignored, totals, keys if strict else [])
        return _turned([round(t) for t in totals], ignored)


def _turned(totals: list[int], ignored: list[bool]) -> list[float]:
    """Few pods around is good: the lowest sum is 100. Nodes that lack a label get nothing."""
    known = [t for t, skip in zip(totals, ignored, strict=True) if not skip]
    if not known:
        return [0.0] * len(totals)
    low, high = min(known), max(known)
    return [
        0.0 if skip else float(MAX_SCORE) if high == 0 else float(MAX_SCORE * (high + low - t) // high)
        for t, skip in zip(totals, ignored, strict=True)
    ]


def _gap(constraint: Constraint, counts: Mapping[str, int]) -> int:
    """Minus the fewest pods that any domain has; domains that do not exist have none."""
    if len(counts) < constraint.min_domains:
        return 0
    return -min(counts.values(), default=0)


def _eligible(constraint: Constraint, pod: PodInfo, node: NodeInfo, keys: Sequence[str]) -> bool:
    """Whether the node counts for the constraint."""
    if any(k not in node.labels for k in keys):
        return False
    if constraint.honor_affinity and not pod.fits_node_affinity(node.name, node.labels):
        return False
    return not (constraint.honor_taints and untolerated(node.taints, pod.tolerations, ("NoSchedule", "NoExecute")))


def _by_domain(constraint: Constraint, pod: PodInfo, snapshot: Snapshot, keys: Sequence[str]) -> dict[str, int]:
    """Pods that the selector matches, by value of the topology key; every eligible domain is in it, with 0 at least."""
    counts: dict[str, int] = {}
    found = snapshot.count(Question(pod.namespace, constraint.selector))
    plain = not pod.node_selector and pod.required_nodes is None and not constraint.honor_taints
    for node in snapshot.nodes:
        value = node.labels.get(constraint.key)
        if value is None:
            continue
        if (plain and len(keys) <= 1) or _eligible(constraint, pod, node, keys):
            counts[value] = counts.get(value, 0) + found.get(node.name, 0)
    return counts


def _add_scores(
    constraint: Constraint,
    pod: PodInfo,
    snapshot: Snapshot,
    nodes: Sequence[NodeInfo],
    ignored: Sequence[bool],
    totals: list[float],
    keys: Sequence[str],
) -> None:
    """Adds what one constraint costs on each node; domains weigh by the logarithm of how many there are."""
    found = snapshot.count(Question(pod.namespace, constraint.selector))
    if constraint.key == HOSTNAME:
        size = len(nodes) - sum(ignored)
        weight = math.log(size + 2)
        for i, node in enumerate(nodes):
            if not ignored[i] and HOSTNAME in node.labels:
                totals[i] += found.get(node.name, 0) * weight + constraint.max_skew - 1
        return
    values = {
        n.labels[constraint.key]
        for n, skip in zip(nodes, ignored, strict=True)
        if not skip and constraint.key in n.labels
    }
    if not values:
        return
    weight = math.log(len(values) + 2)
    counts = _by_domain(constraint, pod, snapshot, keys)
    for i, node in enumerate(nodes):
        value = node.labels.get(constraint.key)
        if not ignored[i] and value is not None:
            totals[i] += counts.get(value, 0) * weight + constraint.max_skew - 1


def default_selector(pod: PodInfo, snapshot: Snapshot) -> Selector:
    """What a pod's own kind is: the selectors of its services and of its controller, all together; empty when it has neither."""
    requirements: dict[Requirement, None] = {}
    for service in snapshot.listers.list("Service", pod.namespace):
        wanted = (service.get("spec") or {}).get("selector")
        if wanted and wanted.items() <= pod.labels.items():
            requirements.update(dict.fromkeys(from_map(wanted).requirements))
    owner = controller_of(pod.obj)
    if owner is not None and owner.get("kind") in _OWNERS:
        found = snapshot.listers.get(owner["kind"], owner["name"], pod.namespace)
        wanted = ((found or {}).get("spec") or {}).get("selector")
        if wanted:
            selector = from_map(wanted) if owner["kind"] == "ReplicationController" else from_label_selector(wanted)
            requirements.update(dict.fromkeys(selector.requirements))
    return Selector(tuple(sorted(requirements, key=lambda r: (r.key, r.operator, r.values))))
