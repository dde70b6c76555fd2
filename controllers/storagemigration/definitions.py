"""What a CustomResourceDefinition tells about the migration of its objects: that one runs, and which versions are stored.

Source: pkg/controller/storageversionmigrator/migrationrunner.go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, condition_of, resource_version_of, with_condition
from kubeling.api.resources import CUSTOM_RESOURCE_DEFINITIONS
from kubeling.client.clock import Clock
from kubeling.client.rest import Client

MANAGER = "migration-runner-controller"
CONDITION = "StorageMigrating"

_SUCCEEDED = "The migration has succeeded"
_STORED = " and the stored versions have been updated"
_CHANGED = " but the stored versions have not been updated due to a generation mismatch"

Change = Callable[[Object, datetime], Object]


class Definitions:
    """The definitions of those migrated resources that are custom ones."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def begin(self, wanted: Object, migration: str) -> None:
        await self._change(wanted, lambda definition, now: begun(definition, migration, now))

    async def end(self, wanted: Object, *, success: bool) -> None:
        await self._change(wanted, lambda definition, now: ended(definition, success, now))

    async def _change(self, wanted: Object, change: Change) -> None:
        """Only that very definition is changed of which the change was made: a newer one is a conflict."""
        name = f"{wanted['resource']}.{wanted['group']}"
        try:
            definition = await self._client.get(CUSTOM_RESOURCE_DEFINITIONS, name)
        except StatusError as err:
            if is_not_found(err):
                return
            raise
        status = change(definition, self._clock.now())
        patch = {"metadata": {"resourceVersion": resource_version_of(definition)}, "status": status}
        await self._client.patch(
            CUSTOM_RESOURCE_DEFINITIONS, name, patch, subresource="status", field_manager=MANAGER
        )  # fmt: skip


def begun(definition: Object, migration: str, now: datetime) -> Object:
    """The generation is told as of which all objects are being rewritten."""
    return _status(definition, "True", now, "MigrationRunning", f"Migration {migration} is running")


def ended(definition: Object, success: bool, now: datetime) -> Object:
    """A definition that is still what it was when the migration began stores nothing but its storage version any more."""
    if not success:
        return _status(definition, "False", now, "MigrationFailed", "The migration has failed")
    before = condition_of(definition, CONDITION) or {}
    same = before.get("observedGeneration") == definition["metadata"].get("generation")
    told = _status(definition, "False", now, "MigrationSucceeded", _SUCCEEDED + (_STORED if same else _CHANGED))
    if same:
        versions = definition["spec"].get("versions") or ()
        told["storedVersions"] = [version["name"] for version in versions if version.get("storage")]
    return told


def _status(definition: Object, status: str, now: datetime, reason: str, message: str) -> Object:
    generation = definition["metadata"].get("generation")
    conditions = (definition.get("status") or {}).get("conditions")
    return {
        "conditions": with_condition(
            conditions, CONDITION, status, now, reason, message, observedGeneration=generation
        )
    }  # fmt: skip
