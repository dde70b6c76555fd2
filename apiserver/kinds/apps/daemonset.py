"""DaemonSet (pkg/registry/apps/daemonset, pkg/apis/apps)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column, labels_text
from apiserver.kinds.strategies import StatusStrategy, default_to, keep
from apiserver.kinds.validation.common import int_or_percent, int_or_percent_value, not_over_100_percent
from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.pod.defaults import default_template
from apiserver.kinds.validation.pod.internal import as_internal
from apiserver.kinds.validation.pod.spec import validate_template_spec
from apiserver.kinds.validation.selectors import is_empty, shown_map, shown_selector, validate_label_selector
from apiserver.kinds.validation.workloads import (
    MISMATCH,
    SPEC,
    STATUS,
    TEMPLATE,
    collision_count_decremented,
    usable_selector,
    validate_counts,
    validate_runs_for_ever,
)
from apiserver.kinds.workloads import CONTAINERS, IMAGES, WorkloadStrategy, container_cells, selector_cell
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import DAEMON_SETS

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""Annotation that carries what used to be ``spec.templateGeneration``."""
_REQUIRED_COUNTS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
_COUNTS = (
    *_REQUIRED_COUNTS,
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


class DaemonSetStrategy(WorkloadStrategy):
    revalidates_metadata = False
    empty_status: Mapping[str, Any] = dict.fromkeys(_REQUIRED_COUNTS, 0)
    warns_about_name = False

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("selector", None)
        default_template(spec.setdefault("template", {}))
        strategy = spec.setdefault("updateStrategy", {})
        default_to(strategy, "type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
            default_to(rolling, "maxUnavailable", 1)
            default_to(rolling, "maxSurge", 0)
        default_to(spec, "revisionHistoryLimit", 10)
        status = obj.setdefault("status", {})
        for field in _REQUIRED_COUNTS:
            status.setdefault(field, 0)
        if TEMPLATE_GENERATION not in annotations_of(obj):
            _annotate(obj, "0")  # upstream's internal field, and so part of what a writer of the object owns

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        super().prepare_for_create(ctx, obj)
        generation = max(template_generation(obj), 1)
        _annotate(obj, str(generation))

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        super().prepare_for_update(ctx, obj, old)
        changed = obj["spec"].get("template") != old["spec"].get("template")
        _annotate(obj, str(template_generation(old) + changed))

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        spec = obj["spec"]
        selector, template = spec.get("selector"), spec.get("template") or {}
        errors = validate_label_selector(selector, SPEC.child("selector"))
        usable, labels = usable_selector(selector), (template.get("metadata") or {}).get("labels")
        if usable is not None and not usable.matches(labels or {}):
            errors.append(fields.invalid(TEMPLATE.child("metadata", "labels"), shown_map(labels), MISMATCH))
        if selector is not None and is_empty(selector):
            errors.append(
                fields.invalid(
                    SPEC.child("selector"), shown_selector(selector), "empty selector is invalid for daemonset"
                )
            )
        errors += validate_template_spec(template, TEMPLATE)
        errors += validate_runs_for_ever(template.get("spec") or {}, TEMPLATE.child("spec"), "DaemonSet")
        errors += validate_counts(spec, SPEC, ("minReadySeconds",))
        errors += _validate_update_strategy(spec.get("updateStrategy") or {}, SPEC.child("updateStrategy"))
        return errors + validate_counts(spec, SPEC, ("revisionHistoryLimit",))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = immutable(
            shown_selector(obj["spec"].get("selector")),
            shown_selector(old["spec"].get("selector")),
            SPEC.child("selector"),
        )
        return errors + self.validate(ctx, obj)


def template_generation(obj: Object) -> int:
    """How often the template has changed, from 1; 0 when it is not known."""
    text = annotations_of(obj).get(TEMPLATE_GENERATION, "")
    return int(text) if text.isdecimal() else 0


def _annotate(obj: Object, value: str) -> None:
    meta = obj.setdefault("metadata", {})
    meta["annotations"] = {**(meta.get("annotations") or {}), TEMPLATE_GENERATION: value}


def _validate_update_strategy(strategy: Mapping[str, Any], path: Path) -> ErrorList:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = as_internal("DaemonSetUpdateStrategy", strategy)
        return [fields.not_supported(path, shown, ["RollingUpdate", "OnDelete"])]
    at = path.child("rollingUpdate")
    if rolling is None:
        return [fields.required(at)]
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    at_unavailable, at_surge = at.child("maxUnavailable"), at.child("maxSurge")
    errors = int_or_percent(unavailable, at_unavailable) + int_or_percent(surge, at_surge)
    errors += not_over_100_percent(unavailable, at_unavailable) + not_over_100_percent(surge, at_surge)
    has_unavailable, has_surge = int_or_percent_value(unavailable) != 0, int_or_percent_value(surge) != 0
    if has_unavailable and has_surge:
        errors.append(fields.invalid(at_surge, surge, "may not be set when maxUnavailable is non-zero"))
    elif not has_unavailable and not has_surge:
        errors.append(fields.required(at_unavailable, "cannot be 0 when maxSurge is 0"))
    return errors


class DaemonSetStatusStrategy(StatusStrategy):
    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "spec")
        _annotate(obj, str(template_generation(old)))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status = obj.get("status") or {}
        return validate_counts(status, STATUS, _COUNTS) + collision_count_decremented(status, old.get("status") or {})


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    template = spec.get("template") or {}
    return [
        name_of(obj),
        status.get("desiredNumberScheduled") or 0,
        status.get("currentNumberScheduled") or 0,
        status.get("numberReady") or 0,
        status.get("updatedNumberScheduled") or 0,
        status.get("numberAvailable") or 0,
        labels_text((template.get("spec") or {}).get("nodeSelector")),
        age_of(obj, now),
        *container_cells(template),
        selector_cell(spec.get("selector")),
    ]


DAEMON_SET = Kind(
    DAEMON_SETS,
    DaemonSetStrategy(),
    Printer(
        (
            NAME,
            column("Desired", "apps.v1.DaemonSetStatus:desiredNumberScheduled", "integer"),
            column("Current", "apps.v1.DaemonSetStatus:currentNumberScheduled", "integer"),
            column("Ready", "apps.v1.DaemonSetStatus:numberReady", "integer"),
            column("Up-to-date", "apps.v1.DaemonSetStatus:updatedNumberScheduled", "integer"),
            column("Available", "apps.v1.DaemonSetStatus:numberAvailable", "integer"),
            column("Node Selector", "core.v1.PodSpec:nodeSelector"),
            AGE,
            CONTAINERS,
            IMAGES,
            column("Selector", "apps.v1.DaemonSetSpec:selector", priority=1),
        ),
        _row,
        hidden_annotations=(TEMPLATE_GENERATION,),
    ),
    status=DaemonSetStatusStrategy(DaemonSetStrategy()),
)
