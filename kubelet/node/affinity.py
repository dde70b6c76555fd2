"""Node selectors, required node affinity, taints and tolerations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubeling.api.meta import Object, labels_of, name_of


def matches_node(pod: Object, node: Object) -> bool:
    """Whether the pod's nodeSelector and its required node affinity take this node."""
    spec, labels = podspec.spec_of(pod), labels_of(node)
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return matches_terms(required, node)


def matches_terms(selector: Mapping[str, Any], node: Object) -> bool:
    """Whether any term of a node selector takes the node."""
    return any(_term(term, node) for term in selector.get("nodeSelectorTerms") or ())


def _term(term: Mapping[str, Any], node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_holds(e, labels_of(node)) for e in expressions) and all(
        _holds(f, {"metadata.name": name_of(node)}) for f in fields
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    value = labels.get(key)
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value or "", values[0])
    return False


def _compares(operator: str, value: str, bound: str) -> bool:
    try:
        left, right = int(value), int(bound)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration covers one taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    value, operator = toleration.get("value") or "", toleration.get("operator") or "Equal"
    if operator in ("Gt", "Lt"):
        return _compares(operator, taint.get("value") or "", value)
    return operator == "Exists" or value == (taint.get("value") or "")
