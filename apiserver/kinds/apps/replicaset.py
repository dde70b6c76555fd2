"""ReplicaSet (pkg/registry/apps/replicaset, pkg/apis/apps)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.apps.deployment import validate_replicated
from apiserver.kinds.replicas import ReplicasStatusStrategy, replicas_printer
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.pod.defaults import default_template
from apiserver.kinds.validation.selectors import shown_selector
from apiserver.kinds.validation.workloads import SPEC, validate_counts, validate_selector
from apiserver.kinds.workloads import WorkloadStrategy, selector_cell
from apiserver.registry.kind import Context, Kind, Scale
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object
from kubeling.api.resources import REPLICA_SETS

_COUNTS = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "terminatingReplicas",
    "observedGeneration",
)


class ReplicaSetStrategy(WorkloadStrategy):
    empty_status: Mapping[str, Any] = {"replicas": 0}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_to(spec, "replicas", 1)
        spec.setdefault("selector", None)
        default_template(spec.setdefault("template", {}))
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        spec = obj["spec"]
        errors = validate_counts(spec, SPEC, ("replicas", "minReadySeconds"))
        errors += validate_selector(spec.get("selector"), SPEC.child("selector"), "deployment")
        return errors + validate_replicated(spec, "ReplicaSet")

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = 2 * self.validate(ctx, obj)  # upstream validates the spec as new and as changed, and reports both
        return errors + immutable(
            shown_selector(obj["spec"].get("selector")),
            shown_selector(old["spec"].get("selector")),
            SPEC.child("selector"),
        )


REPLICA_SET = Kind(
    REPLICA_SETS,
    ReplicaSetStrategy(),
    replicas_printer("apps.v1.ReplicaSet", selector_cell),
    status=ReplicasStatusStrategy(ReplicaSetStrategy(), _COUNTS),
    scale=Scale(),
)
