"""PodDisruptionBudget: how many pods of a set may be missing at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import SpecStrategy, StatusStrategy
from apiserver.kinds.validation.common import int_or_percent, not_over_100_percent
from apiserver.kinds.validation.meta import nonnegative
from apiserver.kinds.validation.selectors import validate_label_selector
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import POD_DISRUPTION_BUDGETS

SPEC, STATUS = Path("spec"), Path("status")
_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
_ZEROES: Mapping[str, int] = dict.fromkeys(_COUNTS, 0)
_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_REASON_LIMIT, _MESSAGE_LIMIT = 1024, 32 * 1024


class PodDisruptionBudgetStrategy(SpecStrategy):
    allow_unconditional_update = False
    has_generation = True
    empty_status = _ZEROES

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        status = obj.setdefault("status", {})
        for field in _COUNTS:
            status.setdefault(field, 0)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return _validate_spec(obj["spec"], check_values=True)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        before = (old.get("spec") or {}).get("selector")
        return _validate_spec(obj["spec"], check_values=not validate_label_selector(before, SPEC))


class PodDisruptionBudgetStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status = obj.get("status") or {}
        errors = validate_conditions(status.get("conditions") or [], STATUS.child("conditions"))
        for field in _COUNTS:
            errors += nonnegative(status.get(field) or 0, STATUS.child(field))
        return errors


def _validate_spec(spec: Mapping[str, Any], *, check_values: bool) -> ErrorList:
    errors: ErrorList = []
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    if low is not None and high is not None:
        shown = {
            "MinAvailable": low,
            "Selector": spec.get("selector"),
            "MaxUnavailable": high,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        errors.append(fields.invalid(SPEC, shown, "minAvailable and maxUnavailable cannot be both set"))
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            at = SPEC.child(field)
            errors += int_or_percent(spec[field], at) + not_over_100_percent(spec[field], at)
    errors += validate_label_selector(spec.get("selector"), SPEC.child("selector"), check_values=check_values)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _POLICIES:
        errors.append(fields.not_supported(SPEC.child("unhealthyPodEvictionPolicy"), policy, _POLICIES))
    return errors


def validate_conditions(conditions: list[Object], path: Path) -> ErrorList:
    """``metav1.Condition`` lists: unique types, known statuses, reasons in camel case."""
    errors: ErrorList = []
    seen = set[str]()
    for i, condition in enumerate(conditions):
        at, kind = path.index(i), condition.get("type") or ""
        if kind in seen:
            errors.append(fields.duplicate(at.child("type"), kind))
        seen.add(kind)
        errors += _validate_condition(condition, kind, at)
    return errors


_REASON = r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"


def _validate_condition(condition: Object, kind: str, path: Path) -> ErrorList:
    errors: ErrorList = []
    at = path.child("type")
    if not kind:
        errors.append(fields.required(at, "must be set"))
    else:
        errors += [fields.invalid(at, kind, m) for m in names.is_qualified_name(kind)]
    status, statuses = condition.get("status") or "", ("False", "True", "Unknown")
    if status not in statuses:
        errors.append(fields.not_supported(path.child("status"), status, statuses))
    errors += nonnegative(condition.get("observedGeneration") or 0, path.child("observedGeneration"))
    if not condition.get("lastTransitionTime"):
        errors.append(fields.required(path.child("lastTransitionTime"), "must be set"))
    reason, at = condition.get("reason") or "", path.child("reason")
    if not reason:
        errors.append(fields.required(at, "must be set"))
    else:
        if not re.fullmatch(_REASON, reason):
            message = "a condition reason must start with alphabetic character, optionally followed by a string of "
            message += "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'"
            error = names.regex_error(
                message, _REASON, "my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"
            )
            errors.append(fields.invalid(at, reason, error))
        if len(reason.encode()) > _REASON_LIMIT:
            errors.append(fields.too_long(at, _REASON_LIMIT))
    if len((condition.get("message") or "").encode()) > _MESSAGE_LIMIT:
        errors.append(fields.too_long(path.child("message"), _MESSAGE_LIMIT))
    return errors


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    low, high = (str(spec[f]) if spec.get(f) is not None else "N/A" for f in ("minAvailable", "maxUnavailable"))
    return [name_of(obj), low, high, status.get("disruptionsAllowed", 0), age_of(obj, now)]


_STRATEGY = PodDisruptionBudgetStrategy()
POD_DISRUPTION_BUDGET = Kind(
    POD_DISRUPTION_BUDGETS,
    _STRATEGY,
    Printer(
        (
            NAME,
            column("Min Available", "The minimum number of pods that must be available."),
            column("Max Unavailable", "The maximum number of pods that may be unavailable."),
            column("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time.", "integer"),
            AGE,
        ),
        _row,
    ),
    status=PodDisruptionBudgetStatusStrategy(_STRATEGY),
)
