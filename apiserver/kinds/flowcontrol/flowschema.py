"""FlowSchema: which requests belong to which priority level."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.flowcontrol.validation import validate_flow_schema
from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.strategies import OwnMetadataStatusStrategy, SpecStrategy
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, condition_of, name_of
from kubeling.api.resources import FLOW_SCHEMAS

DEFAULT_PRECEDENCE = 1000


class FlowSchemaStrategy(SpecStrategy):
    has_generation = True
    empty_status = {}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("matchingPrecedence"):
            spec["matchingPrecedence"] = DEFAULT_PRECEDENCE

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_flow_schema(obj)


def _row(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    dangling = condition_of(obj, "Dangling")
    return [
        name_of(obj),
        spec.get("priorityLevelConfiguration", {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type", NONE),
        age_of(obj, now),
        dangling.get("status", "") if dangling else "?",
    ]


def _evaluation_order(obj: Object) -> tuple[int, str]:
    """Schemas are tried by precedence, then by name; their tables show them so."""
    return obj.get("spec", {}).get("matchingPrecedence", 0), name_of(obj)


_STRATEGY = FlowSchemaStrategy()

FLOW_SCHEMA = Kind(
    FLOW_SCHEMAS,
    _STRATEGY,
    Printer(
        (
            NAME,
            column("PriorityLevel", "flowcontrol.v1.PriorityLevelConfigurationReference:name"),
            column("MatchingPrecedence", "flowcontrol.v1.FlowSchemaSpec:matchingPrecedence"),
            column("DistinguisherMethod", "flowcontrol.v1.FlowSchemaSpec:distinguisherMethod"),
            AGE,
            column("MissingPL", "references a broken or non-existent PriorityLevelConfiguration"),
        ),
        _row,
        order=_evaluation_order,
    ),
    OwnMetadataStatusStrategy(_STRATEGY),
)
