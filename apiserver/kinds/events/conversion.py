"""events.k8s.io/v1 Events and the core Events that they are stored as: the same fields under other names."""

from __future__ import annotations

from kubeling.api.meta import Object

_NAMES = (
    # (events.k8s.io/v1, core/v1)
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)
_TO_CORE = dict(_NAMES)
_FROM_CORE = {core: new for new, core in _NAMES}
_ALWAYS = {"involvedObject": {}, "source": {}, "reportingComponent": "", "reportingInstance": ""}
"""Fields that the core form writes even when they are empty."""
_OFTEN_EMPTY = ("regarding", "reportingController", "reportingInstance")


def to_core(obj: Object) -> Object:
    made = {_TO_CORE.get(name, name): value for name, value in obj.items()}
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        made.setdefault(name, None)
    return {**_ALWAYS, **made, "apiVersion": "v1"}


def from_core(obj: Object) -> Object:
    made = {_FROM_CORE.get(name, name): value for name, value in obj.items()}
    for name in _OFTEN_EMPTY:
        if name != "regarding" and not made.get(name):
            made.pop(name, None)
    return {**made, "apiVersion": "events.k8s.io/v1"}
