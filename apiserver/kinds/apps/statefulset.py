"""StatefulSet (pkg/registry/apps/statefulset, pkg/apis/apps)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of
from apiserver.kinds.strategies import StatusStrategy, default_to
from apiserver.kinds.validation.claims import validate_claim_spec
from apiserver.kinds.validation.common import dns_label, int_or_percent, int_or_percent_value, not_over_100_percent
from apiserver.kinds.validation.pod.defaults import default_claim_spec, default_template
from apiserver.kinds.validation.pod.internal import as_internal
from apiserver.kinds.validation.pod.spec import validate_template_spec
from apiserver.kinds.validation.pod.warnings import claim_spec_warnings
from apiserver.kinds.validation.selectors import shown_selector
from apiserver.kinds.validation.workloads import (
    SPEC,
    STATUS,
    TEMPLATE,
    collision_count_decremented,
    not_above,
    usable_selector,
    validate_counts,
    validate_runs_for_ever,
    validate_selector,
    validate_template_matches,
)
from apiserver.kinds.workloads import CONTAINERS, IMAGES, READY, WorkloadStrategy, container_cells
from apiserver.registry.kind import Context, Kind, Printer, Scale
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import STATEFUL_SETS

Fields = Mapping[str, Any]
_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_IMMUTABLE = (
    "updates to statefulset spec for fields other than "
    + ", ".join(f"'{field}'" for field in _MUTABLE[:-1])
    + f" and '{_MUTABLE[-1]}' are forbidden"
)
_COUNTS = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)


class StatefulSetStrategy(WorkloadStrategy):
    revalidates_metadata = False
    empty_status: Mapping[str, Any] = {"replicas": 0, "availableReplicas": 0}
    warns_about_name = False

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_to(spec, "podManagementPolicy", "OrderedReady")
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
            strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
            default_to(strategy["rollingUpdate"], "partition", 0)
        retention = spec["persistentVolumeClaimRetentionPolicy"] = (
            spec.get("persistentVolumeClaimRetentionPolicy") or {}
        )
        default_to(retention, "whenDeleted", "Retain")
        default_to(retention, "whenScaled", "Retain")
        default_to(spec, "replicas", 1)
        default_to(spec, "revisionHistoryLimit", 10)
        spec.setdefault("serviceName", "")
        spec.setdefault("selector", None)
        default_template(spec.setdefault("template", {}))
        for claim in spec.get("volumeClaimTemplates") or ():
            claim.update({"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
            claim.setdefault("metadata", {})
            default_claim_spec(claim.setdefault("spec", {}))
            default_to(claim.setdefault("status", {}), "phase", "Pending")
        status = obj.setdefault("status", {})
        status.setdefault("replicas", 0)
        status.setdefault("availableReplicas", 0)

    def validate_name(self, name: str) -> list[str]:
        return names.is_dns1123_label(name)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return self._validate_spec(obj["spec"], new=True)

    def _validate_spec(self, spec: Fields, *, new: bool) -> ErrorList:
        errors: ErrorList = []
        policy = spec.get("podManagementPolicy")
        if policy not in ("OrderedReady", "Parallel"):
            at = SPEC.child("podManagementPolicy")
            errors.append(fields.invalid(at, policy, "must be 'OrderedReady' or 'Parallel'"))
        errors += _validate_update_strategy(spec.get("updateStrategy") or {}, SPEC.child("updateStrategy"))
        errors += _validate_retention(spec.get("persistentVolumeClaimRetentionPolicy") or {})
        errors += validate_counts(spec, SPEC, ("replicas", "minReadySeconds"))
        errors += validate_counts(spec.get("ordinals") or {}, SPEC.child("ordinals"), ("start",))
        errors += _validate_claims(spec) if new else []
        errors += validate_selector(spec.get("selector"), SPEC.child("selector"), "statefulset")
        errors += _validate_template(spec)
        if new and spec.get("serviceName"):
            errors += dns_label(spec["serviceName"], SPEC.child("serviceName"))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = self._validate_spec(obj["spec"], new=False)
        if _fixed_part(obj["spec"]) != _fixed_part(old["spec"]):
            errors.append(fields.forbidden(SPEC, _IMMUTABLE))
        return errors

    def spec_warnings(self, obj: Object) -> list[str]:
        spec = obj["spec"]
        warnings = super().spec_warnings(obj)
        for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            at = SPEC.child("volumeClaimTemplates").index(i).child("spec")
            warnings += claim_spec_warnings(claim.get("spec") or {}, at)
        if (spec.get("revisionHistoryLimit") or 0) < 0:
            text = "a negative value retains all historical revisions; a value >= 0 is recommended"
            warnings.append(f"{SPEC.child('revisionHistoryLimit')}: {text}")
        return warnings


def _fixed_part(spec: Fields) -> Fields:
    return {field: value for field, value in spec.items() if field not in _MUTABLE}


def _validate_update_strategy(strategy: Fields, path: Path) -> ErrorList:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    at = path.child("rollingUpdate")
    if kind == "OnDelete":
        if rolling is None:
            return []
        shown = as_internal("RollingStatefulSet", rolling)
        return [fields.invalid(at, shown, "only allowed for updateStrategy 'RollingUpdate'")]
    if kind != "RollingUpdate":
        shown = as_internal("StatefulSetUpdateStrategy", strategy)
        return [fields.invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    errors = validate_counts(rolling or {}, at, ("partition",))
    unavailable = (rolling or {}).get("maxUnavailable")
    if unavailable is not None:
        errors += int_or_percent(unavailable, at.child("maxUnavailable"))
        if int_or_percent_value(unavailable) == 0:
            errors.append(fields.invalid(at.child("maxUnavailable"), unavailable, "cannot be 0"))
        errors += not_over_100_percent(unavailable, at.child("maxUnavailable"))
    return errors


def _validate_retention(policy: Fields) -> ErrorList:
    path = SPEC.child("persistentVolumeClaimRetentionPolicy")
    choices = ["Retain", "Delete"]
    return [
        fields.not_supported(path.child(field), policy.get(field) or "", choices)
        for field in ("whenDeleted", "whenScaled")
        if policy.get(field) not in choices
    ]


def _validate_claims(spec: Fields) -> ErrorList:
    errors: ErrorList = []
    for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        at = SPEC.child("volumeClaimTemplates").index(i)
        errors += validate_claim_spec(claim.get("spec") or {}, at.child("spec"))
    return errors


def _validate_template(spec: Fields) -> ErrorList:
    selector, template = usable_selector(spec.get("selector")), spec.get("template") or {}
    errors: ErrorList = []
    if selector is None:
        errors.append(fields.invalid(SPEC.child("selector"), shown_selector(spec.get("selector")), ""))
    else:
        errors += validate_template_matches(selector, template, TEMPLATE)
        errors += validate_template_spec(_with_claims(spec, template), TEMPLATE)
    return errors + validate_runs_for_ever(template.get("spec") or {}, TEMPLATE.child("spec"), "StatefulSet")


def _with_claims(spec: Fields, template: Fields) -> Fields:
    """The template as its pods will have it: a claim template's volume takes the place of one of the same name."""
    claimed = [(c.get("metadata") or {}).get("name") or "" for c in spec.get("volumeClaimTemplates") or ()]
    pod_spec = template.get("spec") or {}
    kept = [v for v in pod_spec.get("volumes") or () if v.get("name") not in claimed]
    added = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in dict.fromkeys(claimed) if n]
    return {**template, "spec": {**pod_spec, "volumes": [*kept, *added]}}


class StatefulSetStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status = obj.get("status") or {}
        errors = validate_counts(status, STATUS, _COUNTS)
        counts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        errors += not_above(status, "replicas", counts, "status.replicas")
        errors += not_above(status, "readyReplicas", ("availableReplicas",), "status.readyReplicas")
        return errors + collision_count_decremented(status, old.get("status") or {})


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}"
    return [name_of(obj), ready, age_of(obj, now), *container_cells(spec.get("template"))]


STATEFUL_SET = Kind(
    STATEFUL_SETS,
    StatefulSetStrategy(),
    Printer((NAME, READY, AGE, CONTAINERS, IMAGES), _row),
    status=StatefulSetStatusStrategy(StatefulSetStrategy()),
    scale=Scale(),
)
