"""DeviceTaintRule: a taint for all devices that it selects, served on demand alone.

Source of the rules: pkg/apis/resource/validation and pkg/registry/resource/devicetaintrule.
"""

from __future__ import annotations

from typing import Any

from apiserver.kinds.resource.common import label, validate_driver_name
from apiserver.kinds.resource.devices import stamp_taints, validate_taint
from apiserver.kinds.resource.slices import validate_pool_name
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.kinds.validation.conditions import validate_conditions
from apiserver.registry.kind import Context, Kind
from kubeling.api.fields import ErrorList, Path, too_many
from kubeling.api.meta import Object, rfc3339
from kubeling.api.resources import DEVICE_TAINT_RULES

MAX_CONDITIONS = 8
_SPEC = Path("spec")
_CONDITIONS = Path("status", "conditions")


class TaintRuleStrategy(SpecStrategy):
    has_generation = True
    empty_status = {}

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        super().prepare_for_create(ctx, obj)
        stamp_taints([_taint(obj)], ctx.now)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """The time follows the effect, unless the client has set another one: tolerated seconds begin with it."""
        super().prepare_for_update(ctx, obj, old)
        taint, before = _taint(obj), _taint(old)
        stamp_taints([taint], ctx.now)
        if taint.get("effect") != before.get("effect") and taint.get("timeAdded") == before.get("timeAdded"):
            taint["timeAdded"] = rfc3339(ctx.now)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        selector, path = obj["spec"].get("deviceSelector") or {}, _SPEC.child("deviceSelector")
        checks = (("driver", validate_driver_name), ("pool", validate_pool_name), ("device", label))
        errors: ErrorList = []
        for field, check in checks:
            if selector.get(field) is not None:
                errors += check(selector[field], path.child(field))
        return errors + validate_taint(_taint(obj), _SPEC.child("taint"))


class TaintRuleStatusStrategy(OwnMetadataStatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        conditions = (obj.get("status") or {}).get("conditions") or ()
        errors = validate_conditions(conditions, _CONDITIONS)
        if len(conditions) > MAX_CONDITIONS:
            errors.append(too_many(_CONDITIONS, len(conditions), MAX_CONDITIONS))
        return errors


def _taint(obj: Object) -> dict[str, Any]:
    taint: dict[str, Any] = obj["spec"].get("taint") or {}
    return taint


_STRATEGY = TaintRuleStrategy()
DEVICE_TAINT_RULE = Kind(DEVICE_TAINT_RULES, _STRATEGY, status=TaintRuleStatusStrategy(_STRATEGY), returns_deleted=True)
