"""Tells of every FlowSchema whether the priority level it refers to exists (condition ``Dangling``).

Upstream's priority-and-fairness controller in the API server does this for all of them, users' own included.
"""

from __future__ import annotations

from datetime import datetime

from apiserver.bootstrap.status_loop import StatusLoop
from apiserver.registry.facade import WriteOptions
from kubeling.api.meta import Object, condition_of, name_of, with_condition
from kubeling.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS

_OPTIONS = WriteOptions(manager="api-priority-and-fairness-config-consumer-v1")


def wanted_status(schema: Object, levels: set[str], now: datetime) -> Object | None:
    """What to apply to the schema's status for the condition to be as it should; None when it is so already."""
    level = ((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", "")
    prefix = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if level in levels:
        status, reason, message = "False", "Found", f"{prefix} and it exists"
    else:
        status, reason, message = "True", "NotFound", f"{prefix} but there is no such object"
    present = condition_of(schema, "Dangling") or {}
    if (present.get("status"), present.get("reason"), present.get("message")) == (status, reason, message):
        return None
    kept = [c for c in (schema.get("status") or {}).get("conditions") or () if c.get("type") == "Dangling"]
    return {
        "apiVersion": FLOW_SCHEMAS.api_version,
        "kind": FLOW_SCHEMAS.kind,
        "metadata": {"name": name_of(schema)},
        "status": {"conditions": with_condition(kept, "Dangling", status, now, reason, message)},
    }


class FlowStatus(StatusLoop):
    """Acts whenever a schema or a level changed, on all of them at once."""

    watched = (FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS)

    async def _reconcile(self) -> None:
        levels = {name_of(level) for level in self._registries.of(PRIORITY_LEVEL_CONFIGURATIONS).cached_list()}
        schemas = self._registries.of(FLOW_SCHEMAS)
        for schema in schemas.cached_list():
            wanted = wanted_status(schema, levels, self._clock())
            if wanted is None:
                continue
            write = schemas.apply(wanted, subresource="status", options=_OPTIONS)
            await self._attempt(write, "cannot set a flow schema's status")
