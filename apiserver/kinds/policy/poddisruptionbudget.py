"""PodDisruptionBudget: how many pods of a set may be missing at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import SpecStrategy, StatusStrategy
from apiserver.kinds.validation.common import int_or_percent, not_over_100_percent
from apiserver.kinds.validation.conditions import validate_conditions
from apiserver.kinds.validation.meta import nonnegative
from apiserver.kinds.validation.selectors import validate_label_selector
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import POD_DISRUPTION_BUDGETS

SPEC, STATUS = Path("spec"), Path("status")
_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
_ZEROES: Mapping[str, int] = dict.fromkeys(_COUNTS, 0)
_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


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
