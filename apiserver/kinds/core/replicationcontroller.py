"""ReplicationController (pkg/registry/core/replicationcontroller)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.printing import labels_text
from apiserver.kinds.replicas import ReplicasStatusStrategy, replicas_printer
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.pod.defaults import default_template
from apiserver.kinds.validation.workloads import (
    SPEC,
    TEMPLATE,
    validate_counts,
    validate_running_template,
    validate_template_matches,
)
from apiserver.kinds.workloads import WorkloadStrategy
from apiserver.registry.kind import Context, Kind, Scale
from kubeling.api import fields
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object
from kubeling.api.resources import REPLICATION_CONTROLLERS
from kubeling.api.selectors import from_map

_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")


class ReplicationControllerStrategy(WorkloadStrategy):
    revalidates_metadata = False
    empty_status: Mapping[str, Any] = {"replicas": 0}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.get("template")
        labels = ((template or {}).get("metadata") or {}).get("labels")
        if labels:
            if not spec.get("selector"):
                spec["selector"] = dict(labels)
            meta = obj.setdefault("metadata", {})
            if not meta.get("labels"):
                meta["labels"] = dict(labels)
        default_to(spec, "replicas", 1)
        if template is not None:
            default_template(template)
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def default_orphan(self, obj: Object) -> bool:
        return True

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        spec = obj["spec"]
        errors = validate_counts(spec, SPEC, ("minReadySeconds",))
        if not spec.get("selector"):
            errors.append(fields.required(SPEC.child("selector")))
        replicas = spec.get("replicas") or 0
        errors += validate_counts(spec, SPEC, ("replicas",))
        template = spec.get("template")
        if template is None:
            return [*errors, fields.required(TEMPLATE)]
        if spec.get("selector"):
            errors += validate_template_matches(from_map(spec["selector"]), template, TEMPLATE)
        return errors + validate_running_template(template, replicas, TEMPLATE, "ReplicationController")


REPLICATION_CONTROLLER = Kind(
    REPLICATION_CONTROLLERS,
    ReplicationControllerStrategy(),
    replicas_printer("core.v1.ReplicationController", labels_text),
    status=ReplicasStatusStrategy(ReplicationControllerStrategy(), _COUNTS),
    scale=Scale(),
    field_selectors={"status.replicas": lambda rc: str((rc.get("status") or {}).get("replicas") or 0)},
    key="controllers",
)
