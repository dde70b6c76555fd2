"""Validation of what the scheduler reads: affinity, tolerations, topology spread, gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.common import POSITIVE, dns_label, qualified_name
from apiserver.kinds.validation.meta import validate_label_name
from apiserver.kinds.validation.selectors import (
    validate_label_selector,
    validate_node_selector,
    validate_node_selector_term,
)
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

Fields = Mapping[str, Any]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_ACTIONS = frozenset({"DoNotSchedule", "ScheduleAnyway"})
_NODE_POLICIES = frozenset({"Honor", "Ignore"})
TOLERATION_OPERATORS = ("Equal", "Exists", "Lt", "Gt")
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSET_SELECTOR = "must not be specified when labelSelector is not set"


def validate_affinity(affinity: Fields | None, path: Path) -> ErrorList:
    if affinity is None:
        return []
    errors: ErrorList = []
    node = affinity.get("nodeAffinity")
    if node is not None:
        errors += _validate_node_affinity(node, path.child("nodeAffinity"))
    for field in ("podAffinity", "podAntiAffinity"):
        if affinity.get(field) is not None:
            errors += _validate_pod_affinity(affinity[field], path.child(field))
    return errors


def _validate_node_affinity(affinity: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    if affinity.get(_REQUIRED) is not None:
        errors += validate_node_selector(affinity[_REQUIRED], path.child(_REQUIRED))
    for i, term in enumerate(affinity.get(_PREFERRED) or ()):
        at = path.child(_PREFERRED).index(i)
        errors += _validate_weight(term, at)
        errors += validate_node_selector_term(term.get("preference") or {}, at.child("preference"), check_values=False)
    return errors


def _validate_weight(term: Fields, path: Path) -> ErrorList:
    weight = term.get("weight") or 0
    return [] if 1 <= weight <= 100 else [fields.invalid(path.child("weight"), weight, "must be in the range 1-100")]


def _validate_pod_affinity(affinity: Fields, path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, term in enumerate(affinity.get(_REQUIRED) or ()):
        errors += _validate_pod_term(term, path.child(_REQUIRED).index(i))
    for i, weighted in enumerate(affinity.get(_PREFERRED) or ()):
        at = path.child(_PREFERRED).index(i)
        errors += _validate_weight(weighted, at)
        errors += _validate_pod_term(weighted.get("podAffinityTerm") or {}, at.child("podAffinityTerm"))
    return errors


def _validate_pod_term(term: Fields, path: Path) -> ErrorList:
    errors = validate_label_selector(term.get("labelSelector"), path.child("labelSelector"))
    errors += validate_label_selector(term.get("namespaceSelector"), path.child("namespaceSelector"))
    for namespace in term.get("namespaces") or ():
        errors += dns_label(namespace, path.child("namespace"))
    errors += _validate_match_keys(term, path)
    topology = term.get("topologyKey") or ""
    if not topology:
        errors.append(fields.required(path.child("topologyKey"), "can not be empty"))
    return errors + validate_label_name(topology, path.child("topologyKey"))


def _validate_match_keys(term: Fields, path: Path) -> ErrorList:
    """``matchLabelKeys`` and ``mismatchLabelKeys``: valid, disjoint, and not in the selector twice.

    The strategy has merged the keys into the selector by now, so a key of the user's own stands there twice.
    """
    selector = term.get("labelSelector")
    errors = _validate_label_keys(term.get("matchLabelKeys") or [], selector, path.child("matchLabelKeys"))
    errors += _validate_label_keys(term.get("mismatchLabelKeys") or [], selector, path.child("mismatchLabelKeys"))
    errors += _validate_keys_not_selected(term.get("matchLabelKeys") or [], selector, path)
    for i, key in enumerate(term.get("matchLabelKeys") or ()):
        if key in (term.get("mismatchLabelKeys") or ()):
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(fields.invalid(path.child("matchLabelKeys").index(i), key, detail))
    return errors


def _validate_label_keys(keys: list[str], selector: Fields | None, path: Path) -> ErrorList:
    if not keys:
        return []
    if selector is None:
        return [fields.forbidden(path, _UNSET_SELECTOR)]
    return [e for i, key in enumerate(keys) for e in validate_label_name(key, path.index(i))]


def _validate_keys_not_selected(keys: list[str], selector: Fields | None, path: Path) -> ErrorList:
    if selector is None:
        return []
    errors: ErrorList = []
    selected = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key")
        if key in keys and key in selected:
            detail = "exists in both matchLabelKeys and labelSelector"
            errors.append(fields.invalid(path.index(keys.index(key)), key, detail))
        selected.add(key)
    return errors


def validate_tolerations(
    tolerations: list[Fields], path: Path, *, operators: tuple[str, ...] = TOLERATION_OPERATORS
) -> ErrorList:
    """``operators``: those that the error about an unknown one lists."""
    errors: ErrorList = []
    for i, toleration in enumerate(tolerations):
        errors += validate_toleration(toleration, path.index(i), operators=operators)
    return errors


def validate_toleration(
    toleration: Fields, path: Path, *, operators: tuple[str, ...] = TOLERATION_OPERATORS
) -> ErrorList:
    errors: ErrorList = []
    key, operator, value = (toleration.get(f) or "" for f in ("key", "operator", "value"))
    effect = toleration.get("effect") or ""
    if key:
        errors += validate_label_name(key, path.child("key"))
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(fields.invalid(path.child("operator"), operator, detail))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(fields.invalid(path.child("effect"), effect, detail))
    at = path.child("operator")
    if operator in ("", "Equal"):
        messages = names.is_label_value(value)
        if messages:
            errors.append(fields.invalid(at, value, ";".join(messages)))
    elif operator == "Exists":
        if value:
            errors.append(fields.invalid(at, value, "value must be empty when `operator` is 'Exists'"))
    else:
        errors.append(fields.not_supported(at, operator, operators))
    if effect and effect not in TAINT_EFFECTS:
        errors.append(fields.not_supported(path.child("effect"), effect, TAINT_EFFECTS))
    return errors


def validate_topology_spread(constraints: list[Fields], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, constraint in enumerate(constraints):
        errors += _validate_constraint(constraint, constraints[i + 1 :], path.index(i))
    return errors


def _validate_constraint(constraint: Fields, rest: list[Fields], path: Path) -> ErrorList:
    errors: ErrorList = []
    skew, topology = constraint.get("maxSkew") or 0, constraint.get("topologyKey") or ""
    action, domains = constraint.get("whenUnsatisfiable") or "", constraint.get("minDomains")
    if skew <= 0:
        errors.append(fields.invalid(path.child("maxSkew"), skew, POSITIVE))
    if not topology:
        errors.append(fields.required(path.child("topologyKey"), "can not be empty"))
    if action not in _ACTIONS:
        errors.append(fields.not_supported(path.child("whenUnsatisfiable"), action, _ACTIONS))
    if any((c.get("topologyKey") or "") == topology and (c.get("whenUnsatisfiable") or "") == action for c in rest):
        at = path.child("{topologyKey, whenUnsatisfiable}")
        errors.append(fields.duplicate(at, f"{{{topology}, {action}}}"))
    if domains is not None and domains <= 0:
        errors.append(fields.invalid(path.child("minDomains"), domains, POSITIVE))
    if domains is not None and action != "DoNotSchedule":
        detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        errors.append(fields.invalid(path.child("minDomains"), domains, detail))
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = constraint.get(field)
        if policy is not None and policy not in _NODE_POLICIES:
            errors.append(fields.not_supported(path.child(field), policy, _NODE_POLICIES))
    keys, selector, at = (
        constraint.get("matchLabelKeys") or [],
        constraint.get("labelSelector"),
        path.child("matchLabelKeys"),
    )
    errors += _validate_label_keys(keys, selector, at)
    errors += _validate_keys_not_selected(keys, selector, at)
    return errors + validate_label_selector(selector, path.child("labelSelector"))


def validate_scheduling_gates(gates: list[Fields], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        name = gate.get("name") or ""
        errors += qualified_name(name, path.index(i))
        if name in seen:
            errors.append(fields.duplicate(path.index(i), name))
        seen.add(name)
    return errors
