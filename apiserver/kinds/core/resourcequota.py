"""ResourceQuota: hard limits on what a namespace may use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import SpecStrategy, StatusStrategy
from apiserver.kinds.validation.meta import IMMUTABLE
from apiserver.kinds.validation.pod.defaults import round_resources
from apiserver.kinds.validation.pod.requirements import is_huge_page, validate_quantity, validate_resource_name
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import RESOURCE_QUOTAS

SPEC, STATUS = Path("spec"), Path("status")
_POD_RESOURCES = frozenset({"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_OBJECT_COUNTS = frozenset(
    {
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_STANDARD = (
    _POD_RESOURCES
    | _OBJECT_COUNTS
    | {"ephemeral-storage", "requests.storage", "requests.ephemeral-storage", "limits.ephemeral-storage"}
)
_EXISTS_SCOPES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_SCOPES = (*_EXISTS_SCOPES, "PriorityClass", "VolumeAttributesClass")
_CONFLICTING = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_MUST_EXIST = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


class ResourceQuotaStrategy(SpecStrategy):
    empty_status: Mapping[str, Any] | None = {}

    def default(self, obj: Object) -> None:
        round_resources(obj.setdefault("spec", {}), "hard")
        status = obj.setdefault("status", {})
        for field in ("hard", "used"):
            round_resources(status, field)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_spec(obj["spec"]) + _validate_status(obj.get("status") or {})

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = _validate_spec(obj["spec"])
        scopes = obj["spec"].get("scopes")
        if set(scopes or ()) != set((old.get("spec") or {}).get("scopes") or ()):
            errors.append(fields.invalid(SPEC.child("scopes"), scopes, IMMUTABLE))
        return errors


class ResourceQuotaStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return _validate_status(obj.get("status") or {})


def _validate_amounts(amounts: Mapping[str, Any] | None, path: Path) -> ErrorList:
    errors: ErrorList = []
    for name, amount in sorted((amounts or {}).items()):
        at = path.key(name)
        found = validate_resource_name(name, at)
        if "/" not in name and not _is_standard(name):
            found.append(fields.invalid(at, name, "must be a standard resource for quota"))
        errors += found + validate_quantity(name, amount, at)
    return errors


def _is_standard(name: str) -> bool:
    return name in _STANDARD or is_huge_page(name) or name.startswith("requests.hugepages-")


def _validate_status(status: Mapping[str, Any]) -> ErrorList:
    return [e for field in ("hard", "used") for e in _validate_amounts(status.get(field), STATUS.child(field))]


def _validate_spec(spec: Mapping[str, Any]) -> ErrorList:
    hard = sorted(spec.get("hard") or {})
    errors = _validate_amounts(spec.get("hard"), SPEC.child("hard"))
    scopes, at = list(spec.get("scopes") or ()), SPEC.child("scopes")
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(fields.invalid(at, scopes, "unsupported scope"))
        errors += [fields.invalid(at, scopes, _UNFIT) for name in hard if not _fits(scope, name)]
    errors += _conflicts(scopes, scopes)
    selector = spec.get("scopeSelector")
    return errors if selector is None else errors + _validate_selector(selector, hard, scopes)


_UNFIT = "unsupported scope applied to resource"


def _fits(scope: str, name: str) -> bool:
    """Whether a scope can count a resource; resources that are not the quota's own fit every scope."""
    if not _is_standard(name):
        return True
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    if scope not in _SCOPES:
        return True
    return name in _POD_RESOURCES


def _conflicts(scopes: list[str], shown: list[str] | None) -> ErrorList:
    at = SPEC.child("scopes")
    return [
        fields.invalid(at, shown or None, "conflicting scopes")
        for pair in _CONFLICTING
        if all(scope in scopes for scope in pair)
    ]


def _validate_selector(selector: Mapping[str, Any], hard: list[str], scopes: list[str]) -> ErrorList:
    errors: ErrorList = []
    at = SPEC.child("scopeSelector").child("matchExpressions")
    expressions = selector.get("matchExpressions") or ()
    for expression in expressions:
        scope, operator = expression.get("scopeName") or "", expression.get("operator") or ""
        values = list(expression.get("values") or ())
        if scope not in _SCOPES:
            errors.append(fields.invalid(at.child("scopeName"), scope, "unsupported scope"))
        shown = {"MatchExpressions": [_internal_expression(e) for e in expressions]}
        errors += [fields.invalid(at, shown, _UNFIT) for name in hard if not _fits(scope, name)]
        if scope in _EXISTS_SCOPES and operator != "Exists":
            errors.append(fields.invalid(at.child("operator"), operator, _MUST_EXIST))
        errors += _validate_operator(operator, values, at)
    return errors + _conflicts([e.get("scopeName") or "" for e in expressions], scopes)


def _internal_expression(expression: Mapping[str, Any]) -> Object:
    """As Go prints upstream's internal type."""
    names = (("ScopeName", "scopeName"), ("Operator", "operator"))
    return {go: expression.get(name, "") for go, name in names} | {"Values": expression.get("values") or None}


def _validate_operator(operator: str, values: list[str], path: Path) -> ErrorList:
    if operator in ("In", "NotIn"):
        detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [] if values else [fields.required(path.child("values"), detail)]
    if operator in ("Exists", "DoesNotExist"):
        detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [fields.invalid(path.child("values"), values, detail)] if values else []
    return [fields.invalid(path.child("operator"), operator, "not a valid selector operator")]


def _row(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        cells = limits if name.startswith("limits.") else requests
        cells.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


_REQUEST = "Request represents a minimum amount of cpu/memory that a container may consume."
_LIMIT = (
    "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."
)
_STRATEGY = ResourceQuotaStrategy()
RESOURCE_QUOTA = Kind(
    RESOURCE_QUOTAS,
    _STRATEGY,
    Printer((NAME, column("Request", _REQUEST), column("Limit", _LIMIT), AGE), _row),
    status=ResourceQuotaStatusStrategy(_STRATEGY),
    returns_deleted=True,
)
