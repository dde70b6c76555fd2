"""Where a pod may run: node selectors and required node affinity, taints and tolerations. Pure, parsed once, matched often.

Source of the rules: the API reference of NodeSelector, Taint and Toleration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api.meta import Object, labels_of, name_of
from kubeling.api.selectors import Requirement, from_expressions


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


def node_term(term: Mapping[str, Any]) -> NodeTerm:
    return NodeTerm(
        tuple(from_expressions(term.get("matchExpressions"))), tuple(from_expressions(term.get("matchFields")))
    )


def node_terms(selector: Mapping[str, Any] | None) -> tuple[NodeTerm, ...] | None:
    """The terms of a NodeSelector, any of which must hold; None when there is no selector."""
    if selector is None:
        return None
    return tuple(node_term(t) for t in selector.get("nodeSelectorTerms") or ())


def required_nodes(spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The NodeSelector of a pod's required node affinity."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    found: Mapping[str, Any] | None = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return found


def matches_node_selector(selector: Mapping[str, Any] | None, node: Object) -> bool:
    """Whether any term takes the node; no selector takes every node."""
    terms = node_terms(selector)
    return terms is None or any(t.matches(name_of(node), labels_of(node)) for t in terms)


def selects_node(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether the nodeSelector and the required node affinity of a pod's ``spec`` take the node."""
    labels = labels_of(node)
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    return matches_node_selector(required_nodes(spec), node)


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration covers one taint, of a node or of a device."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    value, operator = toleration.get("value") or "", toleration.get("operator") or "Equal"
    if operator in ("Gt", "Lt"):
        return _compares(operator, taint.get("value") or "", value)
    return operator == "Exists" or value == (taint.get("value") or "")


def _compares(operator: str, taint: str, bound: str) -> bool:
    try:
        left, right = int(taint), int(bound)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def untolerated(
    taints: Iterable[Mapping[str, Any]], tolerations: Collection[Mapping[str, Any]], effects: Collection[str]
) -> list[Mapping[str, Any]]:
    """The taints with one of these effects that no toleration covers, in their order."""
    return [t for t in taints if t.get("effect") in effects and not any(tolerates(x, t) for x in tolerations)]
