"""What ReplicaSet and ReplicationController share: the rules of their status, and their table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import StatusStrategy
from apiserver.kinds.validation.workloads import STATUS, not_above, validate_counts
from apiserver.kinds.workloads import CONTAINERS, IMAGES, container_cells
from apiserver.registry.kind import Context, Printer, Strategy
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of


class ReplicasStatusStrategy(StatusStrategy):
    """``counts`` are the status fields that may not be negative."""

    def __init__(self, main: Strategy, counts: tuple[str, ...]) -> None:
        super().__init__(main)
        self._counts = counts

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        status = obj.get("status") or {}
        errors = validate_counts(status, STATUS, self._counts)
        counts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
        errors += not_above(status, "replicas", counts, "status.replicas")
        return errors + not_above(status, "readyReplicas", ("availableReplicas",), "readyReplicas")


def replicas_printer(definition: str, selector_text: Callable[[Any], str]) -> Printer:
    """The table of a kind whose definitions start with ``definition`` (``apps.v1.ReplicaSet``)."""

    def row(obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            name_of(obj),
            spec.get("replicas") or 0,
            status.get("replicas") or 0,
            status.get("readyReplicas") or 0,
            age_of(obj, now),
            *container_cells(spec.get("template")),
            selector_text(spec.get("selector")),
        ]

    columns = (
        NAME,
        column("Desired", f"{definition}Spec:replicas", "integer"),
        column("Current", f"{definition}Status:replicas", "integer"),
        column("Ready", f"{definition}Status:readyReplicas", "integer"),
        AGE,
        CONTAINERS,
        IMAGES,
        column("Selector", f"{definition}Spec:selector", priority=1),
    )
    return Printer(columns, row)
