"""What is wrong with an access review. Source: k8s.io/kubernetes/pkg/apis/authorization/validation."""

from __future__ import annotations

from collections.abc import Collection

from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, namespace_of

_SPEC = Path("spec")


def validate_review(body: Object) -> ErrorList:
    return _validate_subject_spec(body) + _validate_metadata(body, (), "must be empty")


def validate_self_review(body: Object) -> ErrorList:
    return _validate_target(body.get("spec") or {}) + _validate_metadata(body, (), "must be empty")


def validate_local_review(body: Object) -> ErrorList:
    errors = _validate_subject_spec(body) + _validate_metadata(
        body, ("namespace",), "must be empty except for namespace"
    )
    spec = body.get("spec") or {}
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and resource.get("namespace", "") != namespace_of(body):
        path = _SPEC.child("resourceAttributes", "namespace")
        errors.append(fields.invalid(path, resource.get("namespace", ""), "must match metadata.namespace"))
    if other is not None:
        path = _SPEC.child("nonResourceAttributes")
        errors.append(fields.invalid(path, _shown(other), "disallowed on this kind of request"))
    return errors


def _validate_target(spec: Object) -> ErrorList:
    """Exactly one of resource and non-resource attributes, and the former's selectors."""
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    errors: ErrorList = []
    if resource is not None and other is not None:
        path = _SPEC.child("nonResourceAttributes")
        errors.append(fields.invalid(path, _shown(other), "cannot be specified in combination with resourceAttributes"))
    if resource is None and other is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.append(fields.invalid(_SPEC.child("resourceAttributes"), None, text))
    return errors + (_validate_selectors(resource) if resource is not None else [])


def _validate_subject_spec(body: Object) -> ErrorList:
    spec = body.get("spec") or {}
    errors = _validate_target(spec)
    if not spec.get("user") and not spec.get("groups"):
        text = "at least one of user or group must be specified"
        found = fields.invalid(_SPEC.child("user"), spec.get("user") or "", text)
        resource = spec.get("resourceAttributes")
        at = len(errors) - len(_validate_selectors(resource) if resource is not None else [])
        errors.insert(at, found)
    return errors


def _validate_metadata(body: Object, allowed: Collection[str], text: str) -> ErrorList:
    metadata = {k: v for k, v in (body.get("metadata") or {}).items() if v}
    if metadata.keys() - {*allowed, "managedFields"}:
        return [fields.invalid(Path("metadata"), metadata, text)]
    return []


def _shown(attributes: Object) -> Object:
    """Non-resource attributes as Go prints the internal type."""
    return {"Path": attributes.get("path", ""), "Verb": attributes.get("verb", "")}


def _validate_selectors(resource: Object) -> ErrorList:
    errors: ErrorList = []
    for field in ("fieldSelector", "labelSelector"):
        selector = resource.get(field)
        if selector is None:
            continue
        path = _SPEC.child("resourceAttributes", field)
        raw, requirements = selector.get("rawSelector"), selector.get("requirements")
        if raw and requirements:
            text = "may not specified at the same time as requirements"
            errors.append(fields.invalid(path.child("rawSelector"), raw, text))
        if not raw and not requirements:
            text = f"when {path} is specified, requirements or rawSelector is required"
            errors.append(fields.required(path.child("requirements"), text))
        for i, requirement in enumerate(requirements or ()):
            errors += _validate_requirement(requirement, path.child("requirements").index(i))
    return errors


def _validate_requirement(requirement: Object, path: Path) -> ErrorList:
    errors: ErrorList = []
    if not requirement.get("key"):
        errors.append(fields.required(path.child("key"), "must be specified"))
    operator, values = requirement.get("operator", ""), requirement.get("values")
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(fields.required(path.child("values"), text))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(fields.forbidden(path.child("values"), text))
    else:
        errors.append(fields.invalid(path.child("operator"), operator, "not a valid selector operator"))
    return errors
