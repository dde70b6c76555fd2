"""Validation of resource requests and limits: names, quantities, requests within limits, huge pages, claims."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from apiserver.kinds.validation.common import dns_label, nonnegative_quantity, qualified_name
from apiserver.kinds.validation.pod.pod_resources import HUGE_PAGES, aggregate, amounts, is_supported_pod_level
from kubeling.api import fields, names, quantity
from kubeling.api.fields import ErrorList, FieldError, Path

NameCheck = Callable[[str, Path], ErrorList]
_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTS = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_STANDARD = (
    _CONTAINER
    | _COUNTS
    | {"storage", "requests.storage"}
    | {f"{a}.{b}" for a in ("requests", "limits") for b in _CONTAINER}
)


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_huge_page(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def is_extended(name: str) -> bool:
    """A resource of a device plugin: with a domain that is not Kubernetes' own."""
    return not is_native(name) and not name.startswith("requests.") and not names.is_qualified_name("requests." + name)


def allows_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def validate_resource_name(name: str, path: Path) -> ErrorList:
    """A resource's name wherever it may stand."""
    errors = qualified_name(name, path)
    if errors or "/" in name or name in _STANDARD or is_huge_page(name) or name.startswith("requests." + HUGE_PAGES):
        return errors
    return [fields.invalid(path, name, "must be a standard resource type or fully qualified")]


def validate_container_resource_name(name: str, path: Path) -> ErrorList:
    errors = validate_resource_name(name, path)
    if "/" not in name:
        if name not in _CONTAINER and not is_huge_page(name):
            errors.append(fields.invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(fields.invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def _validate_pod_resource_name(name: str, path: Path) -> ErrorList:
    errors = validate_resource_name(name, path)
    if not errors and not is_supported_pod_level(name):
        errors.append(fields.not_supported(path, name, frozenset({"cpu", "memory", HUGE_PAGES})))
    return errors


def validate_quantity(name: str, text: Any, path: Path) -> ErrorList:
    """Not negative, and whole where the resource counts things."""
    errors = nonnegative_quantity(text, path)
    amount = quantity.parse(text)
    if (name in _COUNTS or is_extended(name)) and amount.milli() % 1000:
        errors.append(fields.invalid(path, str(amount), "must be an integer"))
    return errors


def _validate_huge_page(name: str, text: Any, path: Path) -> ErrorList:
    amount = quantity.parse(text)
    try:
        size = quantity.parse(name.removeprefix(HUGE_PAGES))
    except quantity.QuantityError:
        size = quantity.ZERO
    if size.value and amount.integer() % size.integer() == 0:
        return []
    return [fields.invalid(path, str(amount), f"{amount} is not positive integer multiple of {name}")]


def validate_requirements(
    requirements: Mapping[str, Any], claims: Collection[str], path: Path, *, pod_level: bool = False
) -> ErrorList:
    """Requests and limits of a container or of the pod; ``claims`` are the pod's resource claims by name."""
    check = _validate_pod_resource_name if pod_level else validate_container_resource_name
    limits, requests = requirements.get("limits") or {}, requirements.get("requests") or {}
    errors: ErrorList = []
    for name, text in sorted(limits.items()):
        errors += _validate_amount(name, text, path.child("limits").key(name), check)
    for name, text in sorted(requests.items()):
        errors += _validate_amount(name, text, path.child("requests").key(name), check)
        errors += _validate_within_limit(name, text, limits, path)
    if any(map(is_huge_page, (*limits, *requests))) and not {"cpu", "memory"} & {*limits, *requests}:
        errors.append(fields.forbidden(path, "HugePages require cpu or memory"))
    return errors + _validate_claim_names(requirements.get("claims") or [], claims, path.child("claims"))


def _validate_amount(name: str, text: Any, path: Path, check: NameCheck) -> ErrorList:
    errors = check(name, path) + validate_quantity(name, text, path)
    return errors + (_validate_huge_page(name, text, path) if is_huge_page(name) else [])


def _validate_within_limit(name: str, text: Any, limits: Mapping[str, Any], path: Path) -> ErrorList:
    if name not in limits:
        if allows_overcommit(name):
            return []
        return [fields.required(path.child("limits"), "Limit must be set for non overcommitable resources")]
    request, limit = quantity.parse(text), quantity.parse(limits[name])
    if request.value != limit.value and not allows_overcommit(name):
        detail = f"must be equal to {name} limit of {limit}"
    elif request.value > limit.value:
        detail = f"must be less than or equal to {name} limit of {limit}"
    else:
        return []
    return [fields.invalid(path.child("requests"), str(request), detail)]


def _validate_claim_names(used: list[Mapping[str, Any]], claims: Collection[str], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[tuple[str, str]] = set()
    for i, claim in enumerate(used):
        name, request, at = claim.get("name") or "", claim.get("request") or "", path.index(i)
        if not name:
            errors.append(fields.required(at))
            continue
        if request:
            errors += dns_label(request, at.child("request"))
        if (name, request) in seen or (name, "") in seen or (not request and any(n == name for n, _ in seen)):
            errors.append(fields.duplicate(at, f"{name}/{request}" if request else name))
        seen.add((name, request))
        if name not in claims:
            errors.append(_unknown_claim(name, claims, at))
    return errors


def _unknown_claim(name: str, claims: Collection[str], path: Path) -> FieldError:
    known = " which is empty" if not claims else ": " + ", ".join(sorted(claims))
    error = fields.not_found(path, name)
    detail = "must be one of the names in pod.spec.resourceClaims" + known
    return FieldError(error.reason, error.title, error.field, error.value, detail)


def validate_pod_level(spec: Mapping[str, Any], claims: Collection[str], path: Path) -> ErrorList:
    """``spec.resources``: its own amounts, and their relation to those of the containers."""
    resources = spec.get("resources")
    if resources is None:
        return []
    errors: ErrorList = []
    if resources.get("claims") is not None:
        errors.append(fields.forbidden(path.child("claims"), "claims cannot be set for Resources at pod-level"))
    errors += validate_requirements(resources, claims, path, pod_level=True)
    requests, limits = amounts(resources, "requests"), amounts(resources, "limits")
    for name, total in sorted(aggregate(spec, "requests").items()):
        own = requests.get(name, quantity.ZERO)
        if is_supported_pod_level(name) and total.value > own.value:
            detail = f"must be greater than or equal to aggregate container requests of {total}"
            errors.append(fields.invalid(path.child("requests").key(name), str(own), detail))
    for i, container in enumerate(spec.get("containers") or ()):
        for name, limit in sorted(amounts(container.get("resources"), "limits").items()):
            if name in limits and limit.value > limits[name].value:
                at = path.child("containers").index(i).key(name).child("limits")
                detail = f"must be less than or equal to pod limits of {limits[name]}"
                errors.append(fields.invalid(at, str(limit), detail))
    return errors
