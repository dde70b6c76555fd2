"""Whether a pod may run on a node: node selectors, affinity, taints and tolerations. Pure.

Source of the rules: the API reference of NodeSelector, Taint and Toleration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeling.api.meta import Object, labels_of, name_of


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """True when the toleration covers the taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return (toleration.get("value") or "") == (taint.get("value") or "")
    return False


def untolerated(taints: Iterable[Object], tolerations: Iterable[Object], effects: Iterable[str]) -> list[Object]:
    """The taints with one of the effects that no toleration covers."""
    known, wanted = list(tolerations), set(effects)
    return [t for t in taints if t.get("effect") in wanted and not any(tolerates(x, t) for x in known)]


def selects_node(spec: Mapping[str, Any], node: Object) -> bool:
    """True when the pod's nodeSelector and required node affinity allow the node."""
    labels = labels_of(node)
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity")) or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_node_selector(required, node)


def matches_node_selector(selector: Mapping[str, Any], node: Object) -> bool:
    """A NodeSelector: any of its terms; a term without requirements matches nothing."""
    return any(_term_matches(term, node) for term in selector.get("nodeSelectorTerms") or ())


def _term_matches(term: Mapping[str, Any], node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    values = {"metadata.name": name_of(node)}
    return all(_holds(e, labels_of(node)) for e in expressions) and all(_holds(f, values) for f in fields)


def _holds(requirement: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    value, wanted = values.get(requirement["key"]), requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            if value is None or not value.lstrip("-").isdigit() or len(wanted) != 1:
                return False
            return int(value) > int(wanted[0]) if operator == "Gt" else int(value) < int(wanted[0])
    return False
