"""PriorityClass: a name for a pod priority."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import default_to
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import PRIORITY_CLASSES

SYSTEM_PREFIX = "system-"
HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_CLASSES: dict[str, Object] = {
    "system-node-critical": {
        "value": 2_000_001_000,
        "description": "Used for system critical pods that must not be moved from their current node.",
    },
    "system-cluster-critical": {
        "value": 2_000_000_000,
        "description": (
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
        ),
    },
}
_POLICIES = ("Never", "PreemptLowerPriority")


class PriorityClassStrategy(Strategy):
    has_generation = True

    def default(self, obj: Object) -> None:
        obj.setdefault("value", 0)
        default_to(obj, "preemptionPolicy", "PreemptLowerPriority")

    def generation_changed(self, obj: Object, old: Object) -> bool:
        """It never grows: what could change it cannot change."""
        return False

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors: ErrorList = []
        name, value = name_of(obj), obj.get("value", 0)
        if name.startswith(SYSTEM_PREFIX):
            problem = _system_problem(name, value, bool(obj.get("globalDefault")))
            if problem:
                detail = (
                    "priority class names with '" + SYSTEM_PREFIX + "' prefix are reserved for system use only. error: "
                )
                errors.append(fields.forbidden(Path("metadata", "name"), detail + problem))
        elif value > HIGHEST_USER_PRIORITY:
            detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
            errors.append(fields.forbidden(Path("value"), detail))
        policy = obj.get("preemptionPolicy")
        if policy not in _POLICIES:
            errors.append(fields.not_supported(Path("preemptionPolicy"), policy, ("PreemptLowerPriority", "Never")))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors: ErrorList = []
        if obj.get("value", 0) != old.get("value", 0):
            errors.append(fields.forbidden(Path("value"), "may not be changed in an update."))
        new, before = (o.get("preemptionPolicy", "PreemptLowerPriority") for o in (obj, old))
        if new != before:
            errors.append(fields.invalid(Path("preemptionPolicy"), new, "field is immutable"))
        return errors


def _system_problem(name: str, value: int, is_default: bool) -> str:
    """Why an object is not one of the system's own classes; empty when it is."""
    known = SYSTEM_CLASSES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known["value"]:
        return f"value of {name} PriorityClass must be {known['value']}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def _row(obj: Object, now: datetime) -> list[Any]:
    is_default = bool(obj.get("globalDefault"))
    return [name_of(obj), obj.get("value", 0), is_default, age_of(obj, now), obj.get("preemptionPolicy", "")]


_CLASS = "scheduling.v1.PriorityClass:"
PRIORITY_CLASS = Kind(
    PRIORITY_CLASSES,
    PriorityClassStrategy(),
    Printer(
        (
            NAME,
            column("Value", _CLASS + "value", "integer"),
            column("Global-Default", _CLASS + "globalDefault", "boolean"),
            AGE,
            column("PreemptionPolicy", _CLASS + "preemptionPolicy"),
        ),
        _row,
    ),
)
