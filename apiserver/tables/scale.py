"""The columns of an ``autoscaling/v1`` Scale."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.registry.kind import Column, Printer
from apiserver.tables.table import CREATED_TEXT, NAME_TEXT
from kubeling.api.duration import age
from kubeling.api.meta import Object, name_of


def _row(scale: Object, now: datetime) -> list[Any]:
    spec, status = scale.get("spec") or {}, scale.get("status") or {}
    created = (scale.get("metadata") or {}).get("creationTimestamp")
    return [name_of(scale), spec.get("replicas") or 0, status.get("replicas") or 0, age(created, now)]


SCALE_PRINTER = Printer(
    (
        Column("Name", description=NAME_TEXT),
        Column("Desired", "integer", description="replicas is the desired number of instances for the scaled object."),
        Column(
            "Available",
            "integer",
            description="replicas is the actual number of observed instances of the scaled object.",
        ),
        Column("Age", description=CREATED_TEXT),
    ),
    _row,
)
