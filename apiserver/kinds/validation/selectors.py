"""Validation of label selectors and node selectors (apimachinery/pkg/apis/meta/v1/validation, pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.meta import validate_label_name, validate_labels
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path

_NO_OPERATOR = "not a valid selector operator"


def validate_label_selector(selector: Mapping[str, Any] | None, path: Path, *, check_values: bool = True) -> ErrorList:
    """``matchLabels`` and ``matchExpressions``; None is fine here, the caller says whether it is required.

    ``check_values=False`` accepts any value in expressions, as upstream does where old objects may hold them.
    """
    if selector is None:
        return []
    errors = validate_labels(selector.get("matchLabels"), path.child("matchLabels"))
    for i, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += validate_requirement(expression, path.child("matchExpressions").index(i), check_values=check_values)
    return errors


def validate_requirement(expression: Mapping[str, Any], path: Path, *, check_values: bool = True) -> ErrorList:
    errors: ErrorList = []
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    at_values = path.child("values")
    match operator:
        case "In" | "NotIn":
            if not values:
                errors.append(fields.required(at_values, "must be specified when `operator` is 'In' or 'NotIn'"))
        case "Exists" | "DoesNotExist":
            if values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(fields.forbidden(at_values, detail))
        case _:
            errors.append(fields.invalid(path.child("operator"), operator, _NO_OPERATOR))
    errors += validate_label_name(expression.get("key", ""), path.child("key"))
    if check_values:
        for i, value in enumerate(values):
            errors += [fields.invalid(at_values.index(i), value, m) for m in names.is_label_value(value)]
    return errors


def shown_map(labels: Mapping[str, str] | None) -> dict[str, str] | None:
    """A map as Go prints it in an error: sorted, null when empty."""
    return dict(sorted(labels.items())) if labels else None


def shown_selector(selector: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A label selector as Go prints it in an error: the fields in the order of the type."""
    if selector is None:
        return None
    shown: dict[str, Any] = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = shown_map(selector["matchLabels"])
    if selector.get("matchExpressions"):
        shown["matchExpressions"] = [
            {field: expression[field] for field in ("key", "operator", "values") if field in expression}
            for expression in selector["matchExpressions"]
        ]
    return shown


def is_empty(selector: Mapping[str, Any] | None) -> bool:
    """True when neither labels nor expressions are asked for."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def validate_node_selector(selector: Mapping[str, Any], path: Path, *, check_values: bool = True) -> ErrorList:
    """A ``NodeSelector``: at least one term."""
    terms, at = selector.get("nodeSelectorTerms") or (), path.child("nodeSelectorTerms")
    if not terms:
        return [fields.required(at, "must have at least one node selector term")]
    errors: ErrorList = []
    for i, term in enumerate(terms):
        errors += validate_node_selector_term(term, at.index(i), check_values=check_values)
    return errors


def validate_node_selector_term(term: Mapping[str, Any], path: Path, *, check_values: bool = True) -> ErrorList:
    errors: ErrorList = []
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        errors += _validate_node_requirement(expression, path.child("matchExpressions").index(i), check_values)
    for i, expression in enumerate(term.get("matchFields") or ()):
        errors += _validate_node_field(expression, path.child("matchFields").index(i))
    return errors


def _validate_node_requirement(expression: Mapping[str, Any], path: Path, check_values: bool) -> ErrorList:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator not in ("Gt", "Lt"):
        return validate_requirement(expression, path, check_values=check_values)
    errors: ErrorList = []
    at = path.child("values")
    if len(values) != 1:
        errors.append(fields.required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    errors += validate_label_name(expression.get("key", ""), path.child("key"))
    if check_values:
        for i, value in enumerate(values):
            errors += [fields.invalid(at.index(i), value, m) for m in names.is_label_value(value)]
    return errors


def _validate_node_field(expression: Mapping[str, Any], path: Path) -> ErrorList:
    """A requirement on a field of nodes; only the name can be selected by."""
    errors: ErrorList = []
    operator, values, key = expression.get("operator", ""), expression.get("values") or (), expression.get("key", "")
    if operator not in ("In", "NotIn"):
        errors.append(fields.invalid(path.child("operator"), operator, _NO_OPERATOR))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(fields.required(path.child("values"), detail))
    if key != "metadata.name":
        return [*errors, fields.invalid(path.child("key"), key, "not a valid field selector key")]
    for i, value in enumerate(values):
        errors += [fields.invalid(path.child("values").index(i), value, m) for m in names.is_dns1123_subdomain(value)]
    return errors
