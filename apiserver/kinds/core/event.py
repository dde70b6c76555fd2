"""Event, stored in its core form and served as events.k8s.io/v1, too; its rules are in ``event_validation``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apiserver.kinds.core.event_validation import (
    validate_event,
    validate_strict_event,
    validate_strict_event_update,
)
from apiserver.kinds.events.conversion import from_core, to_core
from apiserver.kinds.printing import NAME, UNKNOWN, column
from apiserver.registry.kind import Context, Conversion, Kind, Printer, Strategy
from kubeling.api import duration, names
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import EVENTS, EVENTS_V1

_TIMES = ("firstTimestamp", "lastTimestamp", "eventTime")
_TTL = 3600
"""Seconds that an event is kept where the server has no option for it (upstream: --event-ttl)."""


class EventStrategy(Strategy):
    """Events may be written to a name that does not exist yet, and without a version."""

    allow_create_on_update = True
    collects_garbage = False

    def default(self, obj: Object) -> None:
        obj.setdefault("involvedObject", {})
        obj.setdefault("source", {})
        for field in _TIMES:  # Go writes these even when they are null
            obj.setdefault(field, None)
        for field in ("reportingComponent", "reportingInstance"):
            obj.setdefault(field, "")

    def validate_name(self, name: str) -> list[str]:
        return names.is_path_segment_name(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors = validate_event(obj)
        return errors + validate_strict_event(obj) if ctx.api_version == EVENTS_V1.api_version else errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = validate_event(obj)
        if ctx.api_version == EVENTS_V1.api_version:
            errors += validate_strict_event_update(obj, old)
        return errors


class EventV1Strategy(Strategy):
    """Defaults of events.k8s.io/v1: what Go writes even when it is empty."""

    def default(self, obj: Object) -> None:
        for field in ("regarding", "deprecatedSource"):
            obj.setdefault(field, {})
        for field in ("eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
            obj.setdefault(field, None)


def _component(obj: Object) -> str:
    return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")


def _source(obj: Object) -> str:
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _row(obj: Object, now: datetime) -> list[Any]:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or first
    series = obj.get("series")
    count = obj.get("count") or 0
    if series:
        last, count = series.get("lastObservedTime") or last, series.get("count") or 0
    elif not obj.get("lastTimestamp") and obj.get("eventTime") and not count:
        count = 1
    target = obj.get("involvedObject") or {}
    subject = target.get("kind", "").lower()
    if target.get("name"):
        subject = f"{subject}/{target['name']}"
    return [
        _since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        subject,
        target.get("fieldPath", ""),
        _source(obj),
        obj.get("message", "").strip(),
        _since(first, now),
        count,
        name_of(obj),
    ]


def _since(moment: str | None, now: datetime) -> str:
    return duration.age(moment, now) if moment else UNKNOWN


def _target(field: str) -> Callable[[Object], str]:
    return lambda obj: str((obj.get("involvedObject") or {}).get(field, ""))


_EVENT = "core.v1.Event:"
_COLUMNS = (
    column("Last Seen", _EVENT + "lastTimestamp"),
    column("Type", _EVENT + "type"),
    column("Reason", _EVENT + "reason"),
    column("Object", _EVENT + "involvedObject"),
    column("Subobject", "core.v1.ObjectReference:fieldPath", priority=1),
    column("Source", _EVENT + "source", priority=1),
    column("Message", _EVENT + "message"),
    column("First Seen", _EVENT + "firstTimestamp", priority=1),
    column("Count", _EVENT + "count", priority=1),
    column(NAME.name, NAME.description, format=NAME.format, priority=1),
)
_TARGET_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _field(name: str) -> Callable[[Object], str]:
    return lambda obj: str(obj.get(name) or "")


EVENT = Kind(
    EVENTS,
    EventStrategy(),
    Printer(_COLUMNS, _row),
    field_selectors={
        **{f"involvedObject.{field}": _target(field) for field in _TARGET_FIELDS},
        "reason": _field("reason"),
        "reportingComponent": _field("reportingComponent"),
        "source": _component,
        "type": _field("type"),
    },
    versions=(
        Conversion(
            EVENTS_V1,
            EventV1Strategy(),
            to_storage=to_core,
            from_storage=from_core,
            field_selectors={
                **{f"regarding.{field}": _target(field) for field in _TARGET_FIELDS},
                "reason": _field("reason"),
                "reportingController": _field("reportingComponent"),
                "type": _field("type"),
            },
        ),
    ),
    ttl=_TTL,
)
