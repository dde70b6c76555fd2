"""PriorityLevelConfiguration: how many requests of a level run at a time, and how the others wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.flowcontrol.validation import validate_priority_level
from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import PRIORITY_LEVEL_CONFIGURATIONS

_QUEUING = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


class PriorityLevelStrategy(SpecStrategy):
    has_generation = True
    empty_status = {}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if exempt := spec.get("exempt"):
            exempt.setdefault("nominalConcurrencyShares", 0)
            exempt.setdefault("lendablePercent", 0)
        elif spec.get("type") == "Exempt":
            spec["exempt"] = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
        limited = spec.get("limited")
        if limited is None:
            return
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            for field, value in _QUEUING.items():
                queuing[field] = queuing.get(field) or value

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_priority_level(obj)


def _row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    section = spec.get("limited") or spec.get("exempt") or {}
    queuing = (section.get("limitResponse") or {}).get("queuing") or {}
    cells = [queuing.get(field, NONE) for field in _QUEUING]
    return [name_of(obj), spec.get("type", ""), section.get("nominalConcurrencyShares", NONE), *cells, age_of(obj, now)]


_STRATEGY = PriorityLevelStrategy()

PRIORITY_LEVEL = Kind(
    PRIORITY_LEVEL_CONFIGURATIONS,
    _STRATEGY,
    Printer(
        (
            NAME,
            column("Type", "flowcontrol.v1.PriorityLevelConfigurationSpec:type"),
            column(
                "NominalConcurrencyShares",
                "flowcontrol.v1.LimitedPriorityLevelConfiguration:nominalConcurrencyShares",
            ),
            column("Queues", "flowcontrol.v1.QueuingConfiguration:queues"),
            column("HandSize", "flowcontrol.v1.QueuingConfiguration:handSize"),
            column("QueueLengthLimit", "flowcontrol.v1.QueuingConfiguration:queueLengthLimit"),
            AGE,
        ),
        _row,
    ),
    OwnMetadataStatusStrategy(_STRATEGY),
)
