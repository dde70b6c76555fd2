"""Node selectors, affinity terms, tolerations: parsed once, matched often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kubeling.api.selectors import Requirement, Selector, from_expressions, from_label_selector


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One term of a node selector: requirements on labels and on fields, all of which must hold. An empty one matches nothing."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        if not self.labels and not self.fields:
            return False
        return all(r.matches(labels) for r in self.labels) and all(
            r.matches({"metadata.name": name}) for r in self.fields
        )

    def names(self) -> frozenset[str] | None:
        """The node names to which this term restricts; None when it does not."""
        found: frozenset[str] | None = None
        for requirement in self.fields:
            if requirement.operator == "in":
                values = frozenset(requirement.values)
                found = values if found is None else found & values
        return found


@dataclass(frozen=True, slots=True)
class Weighted:
    """A preferred term and its weight."""

    weight: int
    term: NodeTerm


def node_term(term: Mapping[str, Any]) -> NodeTerm:
    return NodeTerm(
        tuple(from_expressions(term.get("matchExpressions"))), tuple(from_expressions(term.get("matchFields")))
    )


def node_terms(selector: Mapping[str, Any] | None) -> tuple[NodeTerm, ...] | None:
    """The terms of a NodeSelector, any of which must hold; None when there is no selector."""
    if selector is None:
        return None
    return tuple(node_term(t) for t in selector.get("nodeSelectorTerms") or ())


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A pod (anti-)affinity term of a pod ; ``namespaces`` and those whose labels the namespace selector matches are meant."""

    selector: Selector
    topology_key: str
    namespaces: frozenset[str]
    namespace_selector: Selector | None = None
    weight: int = 0

    def selects(
        self, namespace: str, labels: Mapping[str, str], namespace_labels: Callable[[str], Mapping[str, str]]
    ) -> bool:
        """Whether a pod with these labels in this namespace is meant."""
        return self.in_namespace(namespace, namespace_labels) and self.selector.matches(labels)

    def in_namespace(self, namespace: str, namespace_labels: Callable[[str], Mapping[str, str]]) -> bool:
        if namespace in self.namespaces:
            return True
        selector = self.namespace_selector
        return selector is not None and (selector.empty or selector.matches(namespace_labels(namespace)))


@lru_cache(maxsize=4096)
def shared(term: PodTerm) -> PodTerm:
    """One object for all equal terms: the pods of a workload share theirs, and identity tells that quickly."""
    return term


def pod_term(term: Mapping[str, Any], namespace: str, weight: int = 0) -> PodTerm:
    """A term from ``PodAffinityTerm``; without namespaces and namespaceSelector it means the pod's own namespace."""
    listed, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    made = PodTerm(
        selector=from_label_selector(term.get("labelSelector")),
        topology_key=term.get("topologyKey") or "",
        namespaces=frozenset(listed or ([namespace] if selector is None else [])),
        namespace_selector=None if selector is None else from_label_selector(selector),
        weight=weight,
    )
    return shared(made)


@dataclass(frozen=True, slots=True)
class Affinity:
    """The pod (anti-)affinity of a pod."""

    required: tuple[PodTerm, ...] = ()
    preferred: tuple[PodTerm, ...] = ()
    anti_required: tuple[PodTerm, ...] = ()
    anti_preferred: tuple[PodTerm, ...] = ()


NO_AFFINITY = Affinity()


def pod_affinity(spec: Mapping[str, Any], namespace: str) -> Affinity:
    affinity = spec.get("affinity") or {}
    wanted, unwanted = affinity.get("podAffinity"), affinity.get("podAntiAffinity")
    if not wanted and not unwanted:
        return NO_AFFINITY

    def required(side: Mapping[str, Any] | None) -> tuple[PodTerm, ...]:
        return tuple(
            pod_term(t, namespace) for t in (side or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        )

    def preferred(side: Mapping[str, Any] | None) -> tuple[PodTerm, ...]:
        terms = (side or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        return tuple(pod_term(t["podAffinityTerm"], namespace, int(t["weight"])) for t in terms)

    return Affinity(required(wanted), preferred(wanted), required(unwanted), preferred(unwanted))


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration covers one taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    value, operator = toleration.get("value") or "", toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if operator in ("Gt", "Lt"):
        return _compares(operator, taint.get("value") or "", value)
    return value == (taint.get("value") or "")


def _compares(operator: str, taint: str, bound: str) -> bool:
    try:
        left, right = int(taint), int(bound)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def untolerated(
    taints: Sequence[Mapping[str, Any]], tolerations: Sequence[Mapping[str, Any]], effects: tuple[str, ...]
) -> Mapping[str, Any] | None:
    """The first taint with one of these effects that no toleration covers."""
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None
