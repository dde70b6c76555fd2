"""HorizontalPodAutoscaler: stored as autoscaling/v2; ``conversion`` serves v1 from the same objects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.autoscaling.conversion import DEFAULT_CPU, from_v2, has_metrics, to_v2
from apiserver.kinds.autoscaling.validation import validate_autoscaler
from apiserver.kinds.printing import AGE, NAME, NONE, UNKNOWN, UNSET, age_of, column
from apiserver.kinds.strategies import StatusStrategy, keep
from apiserver.kinds.validation.meta import nonnegative
from apiserver.registry.kind import Context, Conversion, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import HORIZONTAL_POD_AUTOSCALERS, HORIZONTAL_POD_AUTOSCALERS_V1

_UP: Object = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN: Object = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
_SHOWN_METRICS = 2


class HorizontalPodAutoscalerStrategy(Strategy):
    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("minReplicas") is None:
            spec["minReplicas"] = 1
        spec.setdefault("maxReplicas", 0)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": DEFAULT_CPU}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        behavior = spec.get("behavior")
        if behavior is not None:
            for field, rules in (("scaleUp", _UP), ("scaleDown", _DOWN)):
                given = {k: v for k, v in (behavior.get(field) or {}).items() if v is not None}
                behavior[field] = {**{k: _copy(v) for k, v in rules.items()}, **given}
        status = obj.setdefault("status", {})
        status.setdefault("desiredReplicas", 0)
        status.setdefault("currentMetrics", None)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {"desiredReplicas": 0, "currentMetrics": None}

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_autoscaler(obj["spec"], None)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_autoscaler(obj["spec"], old.get("spec") or {})


def _copy(value: Any) -> Any:
    return [dict(item) for item in value] if isinstance(value, list) else value


class HorizontalPodAutoscalerStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status, at = obj.get("status") or {}, Path("status")
        fields = ("currentReplicas", "desiredReplicas")
        return [e for f in fields for e in nonnegative(status.get(f) or 0, at.child(f))]


class HorizontalPodAutoscalerV1Strategy(Strategy):
    """Defaults of autoscaling/v1; without any metrics it is the CPU that is aimed at."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("minReplicas") is None:
            spec["minReplicas"] = 1
        spec.setdefault("maxReplicas", 0)
        if spec.get("targetCPUUtilizationPercentage") is None and not has_metrics(obj):
            spec["targetCPUUtilizationPercentage"] = DEFAULT_CPU
        status = obj.setdefault("status", {})
        status.setdefault("currentReplicas", 0)
        status.setdefault("desiredReplicas", 0)


Values = Mapping[str, Any]


def _metric(spec: Values, status: Values | None) -> str:
    """``cpu: 33%/80%``, ``<unknown>/100``, ``5/10 (avg)``."""
    kind = spec.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source = spec.get(field)
    if source is None:
        return "<unknown type>"
    target = source.get("target") or {}
    current = ((status or {}).get(field) or {}).get("current") or {}
    if kind in ("Resource", "ContainerResource"):
        if target.get("averageValue") is not None:
            text = f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
        else:
            wanted = target.get("averageUtilization")
            text = f"{_percent(current.get('averageUtilization'), UNKNOWN)}/{_percent(wanted, '<auto>')}"
        return f"{source.get('name', '')}: {text}"
    if kind == "Pods":
        return f"{current.get('averageValue', UNKNOWN)}/{target.get('averageValue')}"
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{current.get('value', UNKNOWN)}/{target.get('value')}"


def _percent(value: int | None, missing: str) -> str:
    return missing if value is None else f"{value}%"


def _targets(specs: list[Object], statuses: list[Object]) -> str:
    if not specs:
        return NONE
    found = [_metric(spec, statuses[i] if i < len(statuses) else None) for i, spec in enumerate(specs)]
    text = ", ".join(found[:_SHOWN_METRICS])
    more = len(found) - _SHOWN_METRICS
    return f"{text} + {more} more..." if more > 0 else text


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    low = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec.get("metrics") or [], status.get("currentMetrics") or []),
        UNSET if low is None else str(low),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now),
    ]


_SPEC = "autoscaling.v2.HorizontalPodAutoscalerSpec:"
_STRATEGY = HorizontalPodAutoscalerStrategy()
HORIZONTAL_POD_AUTOSCALER = Kind(
    HORIZONTAL_POD_AUTOSCALERS,
    _STRATEGY,
    Printer(
        (
            NAME,
            column("Reference", _SPEC + "scaleTargetRef"),
            column("Targets", _SPEC + "metrics"),
            column("MinPods", _SPEC + "minReplicas"),
            column("MaxPods", _SPEC + "maxReplicas"),
            column("Replicas", "autoscaling.v2.HorizontalPodAutoscalerStatus:currentReplicas"),
            AGE,
        ),
        _row,
    ),
    status=HorizontalPodAutoscalerStatusStrategy(_STRATEGY),
    versions=(
        Conversion(
            HORIZONTAL_POD_AUTOSCALERS_V1,
            HorizontalPodAutoscalerV1Strategy(),
            to_storage=to_v2,
            from_storage=from_v2,
        ),
    ),
)
