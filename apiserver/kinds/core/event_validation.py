"""Validation of Events: the rules of old for core/v1, the strict ones of events.k8s.io/v1 on top."""

from __future__ import annotations

from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, namespace_of

_LIMIT, _NOTE_LIMIT = 128, 1024
_IMMUTABLE = (
    # (path in the error, field of the core form)
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("reason", "reason"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
)


def validate_event(obj: Object) -> ErrorList:
    """What every event must satisfy, whichever API it came through."""
    namespace, target = namespace_of(obj), (obj.get("involvedObject") or {}).get("namespace") or ""
    at = Path("involvedObject", "namespace")
    agrees = namespace == target
    errors: ErrorList = []
    if not obj.get("eventTime"):
        if not agrees and not (not target and namespace in ("", "default")):
            errors.append(fields.invalid(at, target, "does not match event.namespace"))
    else:
        if not target and namespace not in ("default", "kube-system"):
            errors.append(fields.invalid(at, target, "does not match event.namespace"))
        errors += _validate_new(obj)
    return errors + [fields.invalid(Path("namespace"), namespace, m) for m in names.is_dns1123_subdomain(namespace)]


def _validate_new(obj: Object) -> ErrorList:
    """An event with an event time says who did what and why."""
    controller, at = obj.get("reportingComponent") or "", Path("reportingController")
    errors = [] if controller else [fields.required(at)]
    errors += [fields.invalid(at, controller, m) for m in names.is_qualified_name(controller)]
    for field in ("reportingInstance", "action", "reason"):
        value = obj.get(field) or ""
        if not value:
            errors.append(fields.required(Path(field)))
        errors += _at_most(value, _LIMIT, field)
    return errors + _at_most(obj.get("message") or "", _NOTE_LIMIT, "message")


def _at_most(value: str, limit: int, field: str) -> ErrorList:
    if len(value.encode()) <= limit:
        return []
    return [fields.invalid(Path(field), "", f"can have at most {limit} characters")]


def validate_strict_event(obj: Object) -> ErrorList:
    """What creation through events.k8s.io/v1 asks for besides."""
    errors = _validate_series(obj)
    if not obj.get("eventTime"):
        errors.append(fields.required(Path("eventTime")))
    kind = obj.get("type") or ""
    if kind not in ("Normal", "Warning"):
        errors.append(fields.invalid(Path("type"), "", f"has invalid value: {kind}"))
    source = obj.get("source") or {}
    for field, value in (
        ("firstTimestamp", obj.get("firstTimestamp")),
        ("lastTimestamp", obj.get("lastTimestamp")),
        ("count", obj.get("count")),
        ("source", source.get("component") or source.get("host")),
    ):
        if value:
            errors.append(fields.invalid(Path(field), "", "needs to be unset"))
    return errors


def validate_strict_event_update(obj: Object, old: Object) -> ErrorList:
    errors = [] if obj.get("series") == old.get("series") else _validate_series(obj)
    for shown, field in _IMMUTABLE:
        if (obj.get(field) or None) != (old.get(field) or None):
            errors.append(fields.invalid(Path(shown), obj.get(field), "field is immutable"))
    return errors


def _validate_series(obj: Object) -> ErrorList:
    series = obj.get("series")
    if series is None:
        return []
    errors: ErrorList = []
    if (series.get("count") or 0) < 2:
        errors.append(fields.invalid(Path("series.count"), "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(fields.required(Path("series.lastObservedTime")))
    return errors
