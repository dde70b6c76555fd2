"""Deployment (pkg/registry/apps/deployment, pkg/apis/apps)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import StatusStrategy, default_to, keep
from apiserver.kinds.validation.common import int_or_percent, int_or_percent_value, not_over_100_percent
from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.pod.defaults import default_template
from apiserver.kinds.validation.pod.internal import as_internal
from apiserver.kinds.validation.selectors import shown_selector
from apiserver.kinds.validation.workloads import (
    SPEC,
    STATUS,
    collision_count_decremented,
    not_above,
    usable_selector,
    validate_counts,
    validate_running_template,
    validate_selector,
    validate_template_matches,
)
from apiserver.kinds.workloads import CONTAINERS, IMAGES, READY, WorkloadStrategy, container_cells, selector_text
from apiserver.registry.kind import Context, Kind, Printer, Scale
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import DEPLOYMENTS

_COUNTS = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
)


class DeploymentStrategy(WorkloadStrategy):
    revalidates_metadata = False
    empty_status: Mapping[str, Any] = {}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_to(spec, "replicas", 1)
        spec.setdefault("selector", None)
        default_template(spec.setdefault("template", {}))
        strategy = spec.setdefault("strategy", {})
        default_to(strategy, "type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
            default_to(rolling, "maxUnavailable", "25%")
            default_to(rolling, "maxSurge", "25%")
        default_to(spec, "revisionHistoryLimit", 10)
        default_to(spec, "progressDeadlineSeconds", 600)
        obj.setdefault("status", {})

    def generation_changed(self, obj: Object, old: Object) -> bool:
        """Annotations count, too: they steered roll-backs once."""
        return obj.get("spec") != old.get("spec") or annotations_of(obj) != annotations_of(old)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        spec = obj["spec"]
        errors = validate_counts(spec, SPEC, ("replicas",))
        errors += validate_selector(spec.get("selector"), SPEC.child("selector"), "deployment")
        errors += validate_replicated(spec, "ReplicaSet")
        errors += _validate_strategy(spec.get("strategy") or {}, SPEC.child("strategy"))
        errors += validate_counts(spec, SPEC, ("minReadySeconds", "revisionHistoryLimit"))
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None:
            errors += validate_counts(spec, SPEC, ("progressDeadlineSeconds",))
            if deadline <= (spec.get("minReadySeconds") or 0):
                at = SPEC.child("progressDeadlineSeconds")
                errors.append(fields.invalid(at, deadline, "must be greater than minReadySeconds"))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = self.validate(ctx, obj)
        return errors + immutable(
            shown_selector(obj["spec"].get("selector")),
            shown_selector(old["spec"].get("selector")),
            SPEC.child("selector"),
        )


def validate_replicated(spec: Mapping[str, Any], noun: str) -> ErrorList:
    """Selector and template of a Deployment or ReplicaSet."""
    selector = usable_selector(spec.get("selector"))
    if selector is None:
        return [fields.invalid(SPEC.child("selector"), shown_selector(spec["selector"]), "invalid label selector")]
    template, path = spec.get("template") or {}, SPEC.child("template")
    errors = validate_template_matches(selector, template, path)
    return errors + validate_running_template(template, spec.get("replicas") or 0, path, noun)


def _validate_strategy(strategy: Mapping[str, Any], path: Path) -> ErrorList:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    at = path.child("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        return [fields.forbidden(at, "may not be specified when strategy `type` is 'Recreate'")]
    if kind != "RollingUpdate":
        shown = as_internal("DeploymentStrategy", strategy)
        return [fields.not_supported(path, shown, ["Recreate", "RollingUpdate"])]
    rolling = rolling or {}
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    errors = int_or_percent(unavailable, at.child("maxUnavailable"))
    errors += int_or_percent(surge, at.child("maxSurge"))
    if int_or_percent_value(unavailable) == 0 and int_or_percent_value(surge) == 0:
        detail = "may not be 0 when `maxSurge` is 0"
        errors.append(fields.invalid(at.child("maxUnavailable"), unavailable, detail))
    return errors + not_over_100_percent(unavailable, at.child("maxUnavailable"))


class DeploymentStatusStrategy(StatusStrategy):
    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "spec")
        keep(obj["metadata"], old["metadata"], "labels")

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status = obj.get("status") or {}
        errors = validate_counts(status, STATUS, _COUNTS)
        counts = ("updatedReplicas", "readyReplicas", "availableReplicas")
        errors += not_above(status, "replicas", counts, "status.replicas")
        errors += not_above(status, "readyReplicas", ("availableReplicas",), "readyReplicas")
        return errors + collision_count_decremented(status, old.get("status") or {})


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name_of(obj),
        f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        age_of(obj, now),
        *container_cells(spec.get("template")),
        selector_text(spec.get("selector")),
    ]


DEPLOYMENT = Kind(
    DEPLOYMENTS,
    DeploymentStrategy(),
    Printer(
        (
            NAME,
            READY,
            column("Up-to-date", "apps.v1.DeploymentStatus:updatedReplicas"),
            column("Available", "apps.v1.DeploymentStatus:availableReplicas"),
            AGE,
            CONTAINERS,
            IMAGES,
            column("Selector", "apps.v1.DeploymentSpec:selector", priority=1),
        ),
        _row,
    ),
    status=DeploymentStatusStrategy(DeploymentStrategy()),
    scale=Scale(),
)
