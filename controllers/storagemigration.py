"""Storage version migration: every object of a resource is applied without a change, which rewrites it in today's stored form.

Source: pkg/controller/storageversionmigrator. Runs with the feature gate StorageVersionMigrator, as upstream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.batches import together
from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Key, Object, has_condition, name_of, namespace_of, rfc3339, uid_of
from kubeling.api.resource import Resource
from kubeling.api.resources import STORAGE_VERSION_MIGRATIONS
from kubeling.client.clock import Clock
from kubeling.client.discovery import discover
from kubeling.client.rest import PatchKind

NAME = "storage-version-migrator-controller"
FEATURE = "StorageVersionMigrator"
ELSEWHERE = "fake-svm-namespace"  # a list of a namespace that does not exist tells the version and costs nothing
AT_ONCE = 100
_NEEDED = {"list", "patch"}

REASONS = {
    "Running": "StorageVersionMigrationInProgress",
    "Succeeded": "StorageVersionMigrationSucceeded",
    "Failed": "StorageVersionMigrationFailed",
}


def with_state(status: Object, state: str, now: datetime, message: str = "") -> Object:
    """The status with one more condition that is true; what has ended does not run any more."""
    conditions = [dict(c) for c in status.get("conditions") or ()]
    if any(c["type"] == state and c["status"] == "True" for c in conditions):
        return status
    for condition in conditions:
        if condition["type"] == "Running" and state != "Running":
            condition.update(status="False", lastTransitionTime=rfc3339(now))
    made = {"type": state, "status": "True", "reason": REASONS[state], "message": message}
    return {**status, "conditions": [*conditions, {**made, "lastTransitionTime": rfc3339(now)}]}


def empty_apply(resource: Resource, obj: Object) -> Object:
    """An apply that changes nothing. With uid and version, it neither makes an object again nor touches a newer one."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"]},
    }


class MigrationReconciler:
    """First notes as of which version all objects have to be rewritten, then rewrites them."""

    def __init__(self, migrations: Collection, clock: Clock) -> None:
        self._migrations = migrations
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        migration = self._migrations.get(key)
        if migration is None or has_condition(migration, "Succeeded") or has_condition(migration, "Failed"):
            return
        resource = await self._find((migration.get("spec") or {}).get("resource") or {})
        if resource is None:
            await self._set(migration, "Failed", "resource does not exist in discovery")
        elif not (migration.get("status") or {}).get("resourceVersion"):
            status = {**(migration.get("status") or {}), "resourceVersion": await self._version(resource)}
            await self._migrations.update_status({**migration, "status": status})
        else:
            await self._migrate(await self._set(migration, "Running"), resource)

    async def _find(self, wanted: Object) -> Resource | None:
        """The resource in the version that discovery prefers."""
        named = (wanted.get("group") or "", wanted.get("resource") or "")
        found = (await discover(self._migrations.client)).resources
        return next((r for r in found if (r.group, r.plural) == named and set(r.verbs) >= _NEEDED), None)

    async def _version(self, resource: Resource) -> str:
        where = ELSEWHERE if resource.namespaced else ""
        listed = await self._migrations.client.list(resource, where, limit=1)
        return str(listed["metadata"]["resourceVersion"])

    async def _migrate(self, migration: Object, resource: Resource) -> None:
        objects = await self._migrations.client.list_items(resource)
        for start in range(0, len(objects), AT_ONCE):
            failure = await together(objects[start : start + AT_ONCE], lambda obj: self._rewrite(resource, obj))
            if isinstance(failure, StatusError):
                await self._set(migration, "Failed", "migration encountered unhandled error")
                return
            if failure is not None:
                raise failure
        await self._set(migration, "Succeeded")

    async def _rewrite(self, resource: Resource, obj: Object) -> None:
        """An object that has changed meanwhile has been rewritten by that, one that has gone needs nothing."""
        try:
            await self._migrations.client.patch(
                resource, name_of(obj), empty_apply(resource, obj), namespace_of(obj), kind=PatchKind.APPLY,
                field_manager=NAME,
            )  # fmt: skip
        except StatusError as err:
            if not is_conflict(err) and not is_not_found(err):
                raise

    async def _set(self, migration: Object, state: str, message: str = "") -> Object:
        status = with_state(migration.get("status") or {}, state, self._clock.now(), message)
        if status == migration.get("status"):
            return migration
        return await self._migrations.update_status({**migration, "status": status})


def build(context: Context) -> Sequence[Runnable]:
    if FEATURE not in context.options.features:
        return []
    migrations = context.collection(STORAGE_VERSION_MIGRATIONS)
    controller = context.controller(NAME, MigrationReconciler(migrations, context.clock))
    controller.watch(migrations.informer)
    return [controller]


CONTROLLER = ControllerSpec(NAME, build)
