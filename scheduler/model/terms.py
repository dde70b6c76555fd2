"""Preferred nodes and affinity terms: parsed once, matched often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kubeling.api.placement import NodeTerm
from kubeling.api.selectors import Selector, from_label_selector


@dataclass(frozen=True, slots=True)
class Weighted:
    """A preferred term and its weight."""

    weight: int
    term: NodeTerm


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
