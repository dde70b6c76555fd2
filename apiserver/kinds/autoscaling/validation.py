"""Validation of HorizontalPodAutoscalers (pkg/apis/autoscaling/validation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.kinds.validation.common import dns_label
from apiserver.kinds.validation.pod.requirements import validate_container_resource_name
from kubeling.api import fields, names, quantity
from kubeling.api.fields import ErrorList, Path

Part = Mapping[str, Any]
SPEC = Path("spec")
_MAX_STABILIZATION, _MAX_PERIOD = 3600, 1800
_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_TARGET_TYPES = ("Utilization", "Value", "AverageValue")
_SELECT, _POLICIES = ("Disabled", "Max", "Min"), ("Percent", "Pods")


@dataclass(frozen=True, slots=True)
class ReferenceRules:
    """``group``: the apiVersion must name one; ``version``: it must be well formed at all."""

    group: bool = True
    version: bool = True


def validate_autoscaler(spec: Part, old: Part | None) -> ErrorList:
    """Everything wrong with a spec; what the old one already had wrong about apiVersions is tolerated."""
    errors: ErrorList = []
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    lowest = 0 if old is not None and old.get("minReplicas") == 0 else 1
    if low is not None and low < lowest:
        detail = f"must be greater than or equal to {lowest}"
        errors.append(fields.invalid(SPEC.child("minReplicas"), low, detail))
    at = SPEC.child("maxReplicas")
    if high == 0:
        errors.append(fields.required(at, "must be set and greater than 0"))
    elif high < 0:
        errors.append(fields.invalid(at, high, "must be greater than 0"))
    if low is not None and high < low:
        errors.append(fields.invalid(at, high, "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    rules = _target_rules(target, (old or {}).get("scaleTargetRef"))
    errors += _validate_reference(target, SPEC.child("scaleTargetRef"), rules)
    errors += _validate_metrics(spec.get("metrics") or (), low, SPEC.child("metrics"))
    behavior = spec.get("behavior") or {}
    for field in ("scaleUp", "scaleDown"):
        if behavior.get(field) is not None:
            errors += _validate_rules(behavior[field], SPEC.child("behavior").child(field))
    return errors


def _target_rules(target: Part, old: Part | None) -> ReferenceRules:
    if target.get("kind") == "ReplicationController":  # the one scalable kind without a group
        return ReferenceRules(group=False)
    if old is not None:
        before = ReferenceRules()
        if _api_version_problem(old.get("apiVersion") or "", before):
            return ReferenceRules(group=False, version=False)
    return ReferenceRules()


def _api_version_problem(text: str, rules: ReferenceRules) -> str:
    if not rules.version:
        return ""
    if text.count("/") > 1:
        return f"unexpected GroupVersion string: {text}"
    group = text.partition("/")[0] if "/" in text else ""
    return "apiVersion must specify API group" if rules.group and not group else ""


def _validate_reference(reference: Part, path: Path, rules: ReferenceRules) -> ErrorList:
    errors: ErrorList = []
    for field in ("kind", "name"):
        value, at = reference.get(field) or "", path.child(field)
        if not value:
            errors.append(fields.required(at))
        errors += [fields.invalid(at, value, m) for m in names.is_path_segment_name(value)]
    version = reference.get("apiVersion") or ""
    problem = _api_version_problem(version, rules)
    return [*errors, fields.invalid(path.child("apiVersion"), version, problem)] if problem else errors


def _validate_rules(rules: Part, path: Path) -> ErrorList:
    errors: ErrorList = []
    window, at = rules.get("stabilizationWindowSeconds"), path.child("stabilizationWindowSeconds")
    if window is not None and window < 0:
        errors.append(fields.invalid(at, window, "must be greater than or equal to zero"))
    if window is not None and window > _MAX_STABILIZATION:
        errors.append(fields.invalid(at, window, f"must be less than or equal to {_MAX_STABILIZATION}"))
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT:
        errors.append(fields.not_supported(path.child("selectPolicy"), select, _SELECT))
    policies, at = rules.get("policies") or (), path.child("policies")
    if not policies:
        errors.append(fields.required(at, "must specify at least one Policy"))
    for i, policy in enumerate(policies):
        errors += _validate_policy(policy, at.index(i))
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity.parse(tolerance).value < 0:
        at = path.child("tolerance")
        errors.append(fields.invalid(at, str(quantity.parse(tolerance)), "must be greater than or equal to 0"))
    return errors


def _validate_policy(policy: Part, path: Path) -> ErrorList:
    errors: ErrorList = []
    kind, period = policy.get("type") or "", policy.get("periodSeconds") or 0
    if kind not in _POLICIES:
        errors.append(fields.not_supported(path.child("type"), kind, _POLICIES))
    if (policy.get("value") or 0) <= 0:
        errors.append(fields.invalid(path.child("value"), policy.get("value") or 0, "must be greater than zero"))
    if period <= 0:
        errors.append(fields.invalid(path.child("periodSeconds"), period, "must be greater than zero"))
    if period > _MAX_PERIOD:
        detail = f"must be less than or equal to {_MAX_PERIOD}"
        errors.append(fields.invalid(path.child("periodSeconds"), period, detail))
    return errors


def _validate_metrics(metrics: Any, low: int | None, path: Path) -> ErrorList:
    errors = [e for i, metric in enumerate(metrics) for e in _validate_metric(metric, path.index(i))]
    if low == 0 and not any(m.get("type") in ("Object", "External") for m in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(fields.forbidden(path, detail))
    return errors


def _validate_metric(metric: Part, path: Path) -> ErrorList:
    errors: ErrorList = []
    kind = metric.get("type") or ""
    if not kind:
        errors.append(fields.required(path.child("type"), "must specify a metric source type"))
    unknown = [] if kind in _TYPES else [fields.not_supported(path.child("type"), kind, _TYPES)]
    errors += unknown
    present = [field for field in _SOURCES if metric.get(field) is not None]
    if present:  # upstream looks into the first only
        errors += _SOURCES[present[0]](metric[present[0]], path.child(present[0]))
    expected = kind[:1].lower() + kind[1:]
    if not unknown and expected not in present:
        detail = "must populate information for the given metric source"
        errors.append(fields.required(path.child(expected), detail))
    errors += unknown
    if len(present) != 1:
        detail = "must populate the given metric source only"
        errors += [fields.forbidden(path.child(field), detail) for field in present if field != expected]
    return errors


def _validate_identifier(source: Part, path: Path) -> ErrorList:
    name, at = (source.get("metric") or {}).get("name") or "", path.child("metric").child("name")
    if not name:
        return [fields.required(at, "must specify a metric name")]
    return [fields.invalid(at, name, m) for m in names.is_path_segment_name(name)]


def _validate_target(source: Part, path: Path) -> ErrorList:
    target, at = source.get("target") or {}, path.child("target")
    kind = target.get("type") or ""
    errors: ErrorList = []
    if not kind:
        errors.append(fields.required(at.child("type"), "must specify a metric target type"))
    if kind not in _TARGET_TYPES:
        errors.append(fields.invalid(at.child("type"), kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        if target.get(field) is not None and quantity.parse(target[field]).value <= 0:
            shown = str(quantity.parse(target[field]))
            errors.append(fields.invalid(at.child(field), shown, "must be positive"))
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        errors.append(fields.invalid(at.child("averageUtilization"), percent, "must be greater than 0"))
    return errors


def _unset(source: Part, *names: str) -> bool:
    return all((source.get("target") or {}).get(name) is None for name in names)


def _validate_object(source: Part, path: Path) -> ErrorList:
    errors = _validate_reference(
        source.get("describedObject") or {}, path.child("describedObject"), ReferenceRules(group=False)
    )
    errors += _validate_identifier(source, path) + _validate_target(source, path)
    if _unset(source, "value", "averageValue"):
        at = path.child("target").child("averageValue")
        errors.append(fields.required(at, "must set either a target value or averageValue"))
    return errors


def _validate_external(source: Part, path: Path) -> ErrorList:
    errors = _validate_identifier(source, path) + _validate_target(source, path)
    at = path.child("target")
    if _unset(source, "value", "averageValue"):
        detail = "must set either a target value for metric or a per-pod target"
        errors.append(fields.required(at.child("averageValue"), detail))
    if not _unset(source, "value") and not _unset(source, "averageValue"):
        detail = "may not set both a target value for metric and a per-pod target"
        errors.append(fields.forbidden(at.child("value"), detail))
    return errors


def _validate_pods(source: Part, path: Path) -> ErrorList:
    errors = _validate_identifier(source, path) + _validate_target(source, path)
    if _unset(source, "averageValue"):
        at = path.child("target").child("averageValue")
        errors.append(fields.required(at, "must specify a positive target averageValue"))
    return errors


def _validate_resource(source: Part, path: Path) -> ErrorList:
    errors: ErrorList = []
    if not source.get("name"):
        errors.append(fields.required(path.child("name"), "must specify a resource name"))
    return errors + _validate_resource_target(source, path)


def _validate_container_resource(source: Part, path: Path) -> ErrorList:
    name, container = source.get("name") or "", source.get("container") or ""
    at = path.child("name")
    missing = [fields.required(at, "must specify a resource name")]
    errors = validate_container_resource_name(name, at) if name else missing
    at = path.child("container")
    errors += dns_label(container, at) if container else [fields.required(at, "must specify a container")]
    return errors + _validate_resource_target(source, path)


def _validate_resource_target(source: Part, path: Path) -> ErrorList:
    errors = _validate_target(source, path)
    at = path.child("target")
    if _unset(source, "averageUtilization", "averageValue"):
        detail = "must set either a target raw value or a target utilization"
        errors.append(fields.required(at.child("averageUtilization"), detail))
    if not _unset(source, "averageUtilization") and not _unset(source, "averageValue"):
        detail = "may not set both a target raw value and a target utilization"
        errors.append(fields.forbidden(at.child("averageValue"), detail))
    return errors


_SOURCES: Mapping[str, Callable[[Part, Path], ErrorList]] = {
    "object": _validate_object,
    "external": _validate_external,
    "pods": _validate_pods,
    "resource": _validate_resource,
    "containerResource": _validate_container_resource,
}
