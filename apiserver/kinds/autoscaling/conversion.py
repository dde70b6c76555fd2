"""Conversion of HorizontalPodAutoscalers between autoscaling/v1 and v2.

What v1 has no field for travels in annotations, as upstream does it: further metrics, current metrics and conditions in
v1's own form, the behaviour as Go marshals the internal type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubeling.api.meta import Object, annotations_of
from kubeling.api.schema.schemas import DecodeError, schemas_for

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT, CONDITIONS, BEHAVIOR = (
    _PREFIX + name for name in ("metrics", "current-metrics", "conditions", "behavior")
)
_ROUND_TRIP = (METRICS, CURRENT, CONDITIONS, BEHAVIOR)
_CPU = "cpu"
DEFAULT_CPU = 80
"""Percent of the requested CPU that is aimed at where nothing is said."""

Fields = tuple[tuple[str, str, bool], ...]
"""``(v1 field, dotted v2 field, always written)`` in the order in which Go writes them."""

_SPECS: Mapping[str, Fields] = {
    "object": (
        ("target", "describedObject", True),
        ("metricName", "metric.name", True),
        ("targetValue", "target.value", True),
        ("selector", "metric.selector", False),
        ("averageValue", "target.averageValue", False),
    ),
    "pods": (
        ("metricName", "metric.name", True),
        ("targetAverageValue", "target.averageValue", True),
        ("selector", "metric.selector", False),
    ),
    "resource": (
        ("name", "name", True),
        ("targetAverageUtilization", "target.averageUtilization", False),
        ("targetAverageValue", "target.averageValue", False),
    ),
    "containerResource": (
        ("name", "name", True),
        ("targetAverageUtilization", "target.averageUtilization", False),
        ("targetAverageValue", "target.averageValue", False),
        ("container", "container", True),
    ),
    "external": (
        ("metricName", "metric.name", True),
        ("metricSelector", "metric.selector", False),
        ("targetValue", "target.value", False),
        ("targetAverageValue", "target.averageValue", False),
    ),
}
_STATUSES: Mapping[str, Fields] = {
    "object": (
        ("target", "describedObject", True),
        ("metricName", "metric.name", True),
        ("currentValue", "current.value", True),
        ("selector", "metric.selector", False),
        ("averageValue", "current.averageValue", False),
    ),
    "pods": (
        ("metricName", "metric.name", True),
        ("currentAverageValue", "current.averageValue", True),
        ("selector", "metric.selector", False),
    ),
    "resource": (
        ("name", "name", True),
        ("currentAverageUtilization", "current.averageUtilization", False),
        ("currentAverageValue", "current.averageValue", True),
    ),
    "containerResource": (
        ("name", "name", True),
        ("currentAverageUtilization", "current.averageUtilization", False),
        ("currentAverageValue", "current.averageValue", True),
        ("container", "container", True),
    ),
    "external": (
        ("metricName", "metric.name", True),
        ("metricSelector", "metric.selector", False),
        ("currentValue", "current.value", True),
        ("currentAverageValue", "current.averageValue", False),
    ),
}
_ZERO = {"value": "0", "averageValue": "0"}


def _get(source: Mapping[str, Any], path: str) -> Any:
    value: Any = source
    for part in path.split("."):
        value = (value or {}).get(part)
    return value


def _put(target: Object, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        target = target.setdefault(part, {})
    target[last] = value


def _to_v1(metric: Mapping[str, Any], tables: Mapping[str, Fields]) -> Object:
    """A metric spec or status in v1's form."""
    made: Object = {"type": metric.get("type", "")}
    for field, table in tables.items():
        source = metric.get(field)
        if source is None:
            continue
        part: Object = {}
        for old, new, always in table:
            value = _get(source, new)
            if value is None and always:
                value = _ZERO.get(new.rpartition(".")[2], "")
            if value is not None:
                part[old] = value
        made[field] = part
    return made


def _to_v2(metric: Mapping[str, Any], tables: Mapping[str, Fields]) -> Object:
    made: Object = {"type": metric.get("type", "")}
    for field, table in tables.items():
        source = metric.get(field)
        if not isinstance(source, dict):
            continue
        part: Object = {}
        for old, new, _ in table:
            value = source.get(old)
            if value is None or (value == "0" and old == "targetValue" and source.get("averageValue") is not None):
                continue
            _put(part, new, value)
        if tables is _SPECS:
            part.setdefault("target", {})["type"] = _target_type(part["target"])
        made[field] = part
    return made


def _target_type(target: Mapping[str, Any]) -> str:
    if target.get("averageUtilization") is not None:
        return "Utilization"
    return "AverageValue" if target.get("averageValue") is not None else "Value"


def _is_cpu_percent(metric: Mapping[str, Any]) -> bool:
    source = metric.get("resource") or {}
    percent = _get(source, "target.averageUtilization")
    return metric.get("type") == "Resource" and source.get("name") == _CPU and percent is not None


def from_v2(obj: Object) -> Object:
    """A stored object as autoscaling/v1."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    made_spec = {k: spec[k] for k in ("scaleTargetRef", "minReplicas", "maxReplicas") if k in spec}
    others = []
    for metric in spec.get("metrics") or ():
        if not _is_cpu_percent(metric):
            others.append(_to_v1(metric, _SPECS))
        elif "targetCPUUtilizationPercentage" not in made_spec:
            made_spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
    annotations = {k: v for k, v in annotations_of(obj).items() if k not in _ROUND_TRIP}
    current = status.get("currentMetrics") or []
    for name, value in (
        (METRICS, others),
        (CURRENT, [_to_v1(m, _STATUSES) for m in current]),
        (CONDITIONS, status.get("conditions") or []),
        (BEHAVIOR, _internal_behavior(spec.get("behavior"))),
    ):
        if value:
            annotations[name] = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    keys = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
    made_status: Object = {k: status[k] for k in keys if k in status}
    made_status.setdefault("currentReplicas", 0)
    for metric in current:
        percent = _get(metric, "resource.current.averageUtilization")
        if _get(metric, "resource.name") == _CPU and percent is not None:
            made_status["currentCPUUtilizationPercentage"] = percent
    return _with(obj, "autoscaling/v1", annotations, made_spec, made_status)


def to_v2(obj: Object) -> Object:
    """An autoscaling/v1 object in its stored form."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = dict(annotations_of(obj))
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    others = _typed("spec", "metrics", [_to_v2(m, _SPECS) for m in _read(annotations.get(METRICS))])
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        others.insert(0, {"type": "Resource", "resource": {"name": _CPU, "target": target}})
    if others:
        spec["metrics"] = others
    behavior = _json(annotations.get(BEHAVIOR))
    if isinstance(behavior, dict) and behavior:
        spec["behavior"] = _typed("spec", "behavior", _external_behavior(behavior)) or None
    current = status.pop("currentCPUUtilizationPercentage", None)
    status["currentMetrics"] = None
    if current is not None:
        reading = {"name": _CPU, "current": {"averageUtilization": current}}
        status["currentMetrics"] = [{"type": "Resource", "resource": reading}]
    if annotations.get(CURRENT):
        made = [_to_v2(m, _STATUSES) for m in _read(annotations[CURRENT])]
        status["currentMetrics"] = _typed("status", "currentMetrics", made)
    conditions = _typed("status", "conditions", _read(annotations.get(CONDITIONS)))
    if conditions:
        status["conditions"] = conditions
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)  # v2 leaves a zero out, v1 does not
    kept = {k: v for k, v in annotations.items() if k not in _ROUND_TRIP}
    return _with(obj, "autoscaling/v2", kept, spec, status)


def has_metrics(obj: Object) -> bool:
    """Whether a v1 object carries metrics besides the CPU's."""
    return bool(_read(annotations_of(obj).get(METRICS)))


def _read(text: str | None) -> list[Object]:
    """The list of objects in an annotation; anything else counts as absent."""
    value = _json(text)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _typed(part: str, field: str, value: Any) -> Any:
    """What an annotation gave for a field, normalised by v2's schema; nothing where it does not fit (anyone can write it)."""
    schema = schemas_for("1.36").of("autoscaling", "v2", "HorizontalPodAutoscaler")
    try:
        return schema.decode({part: {field: value}}).obj[part].get(field) or []
    except DecodeError:
        return []


def _with(obj: Object, api_version: str, annotations: Object, spec: Object, status: Object) -> Object:
    meta = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "annotations"}
    if annotations:
        meta["annotations"] = annotations
    return {**obj, "apiVersion": api_version, "metadata": meta, "spec": spec, "status": status}


_RULES = ("StabilizationWindowSeconds", "SelectPolicy", "Policies", "Tolerance")


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _internal_behavior(behavior: Mapping[str, Any] | None) -> Object | None:
    """Go marshals the internal type: Go field names, nothing left out."""
    if behavior is None:
        return None
    made: Object = {}
    for direction in ("ScaleUp", "ScaleDown"):
        rules = behavior.get(_lower(direction))
        if rules is None:
            made[direction] = None
            continue
        part = {name: rules.get(_lower(name)) for name in _RULES}
        policies = part["Policies"]
        if policies is not None:
            part["Policies"] = [{n: p.get(_lower(n)) for n in ("Type", "Value", "PeriodSeconds")} for p in policies]
        made[direction] = part
    return made


def _external_behavior(behavior: Any) -> Any:
    if isinstance(behavior, dict):
        return {_lower(k): _external_behavior(v) for k, v in behavior.items() if v is not None}
    if isinstance(behavior, list):
        return [_external_behavior(item) for item in behavior]
    return behavior
