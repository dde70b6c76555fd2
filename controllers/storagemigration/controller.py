"""Storage version migration: every object of a resource is applied without a change, which rewrites it in today's stored form.

Source: pkg/controller/storageversionmigrator. Runs with the feature gate StorageVersionMigrator, as upstream's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.batches import together
from controllers.lib.collection import Collection
from controllers.storagemigration.definitions import Definitions
from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Key, Object, has_condition, key_of, name_of, namespace_of, rfc3339, uid_of
from kubeling.api.resource import Resource
from kubeling.api.resources import STORAGE_VERSION_MIGRATIONS
from kubeling.client.clock import Clock
from kubeling.client.discovery import discover
from kubeling.client.rest import PatchKind

NAME = "storage-version-migrator-controller"
FEATURE = "StorageVersionMigrator"
ELSEWHERE = "fake-svm-namespace"  # a list of a namespace that does not exist tells the version and costs nothing
AT_ONCE = 100
PASSING = {429, 500, 503, 504}  # with these codes, a write is tried again
_NEEDED = {"list", "patch"}

REASONS = {
    "Running": "MigrationRunning",
    "Succeeded": "StorageVersionMigrationSucceeded",
    "Failed": "StorageVersionMigrationFailed",
}


def with_state(migration: Object, state: str, now: datetime, message: str = "") -> Object:
    """The status with one more condition that is true; what has ended does not run any more."""
    status, moment = migration.get("status") or {}, rfc3339(now)
    if has_condition(migration, state):
        return status
    conditions = [dict(c) for c in status.get("conditions") or ()]
    for condition in conditions:
        if condition["type"] == "Running":
            condition.update(status="False", reason="MigrationCompleted", message="Migration completed")
            condition.update(lastTransitionTime=moment)
            if generation := migration["metadata"].get("generation"):
                condition.update(observedGeneration=generation)
    made = {"type": state, "status": "True", "reason": REASONS[state], "message": message}
    return {**status, "conditions": [*conditions, {**made, "lastTransitionTime": moment}]}


def is_over(migration: Object) -> bool:
    return has_condition(migration, "Succeeded") or has_condition(migration, "Failed")


def wanted_of(migration: Object) -> Object:
    """The group and the resource that are to be migrated."""
    named = (migration.get("spec") or {}).get("resource") or {}
    return {"group": named.get("group") or "", "resource": named.get("resource") or ""}


def empty_apply(resource: Resource, obj: Object) -> Object:
    """An apply that changes nothing. With uid and version, it neither makes an object again nor touches a newer one."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"]},
    }


class MigrationReconciler:
    """One migration of a resource at a time: first notes as of which version all objects have to be rewritten, then does it."""

    def __init__(self, migrations: Collection, definitions: Definitions, clock: Clock) -> None:
        self._migrations = migrations
        self._definitions = definitions
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        migration = self._migrations.get(key)
        if migration is None or is_over(migration) or not self._is_next(migration):
            return
        resource = await self._find(wanted_of(migration))
        if resource is None:
            await self._end(migration, "Failed", "resource does not exist in discovery")
        elif not has_condition(migration, "Running"):
            await self._definitions.begin(wanted_of(migration), name_of(migration))
            await self._set(migration, "Running", "The migration is running")
        elif not (migration.get("status") or {}).get("resourceVersion"):
            status = {**(migration.get("status") or {}), "resourceVersion": await self._version(resource)}
            await self._migrations.update_status({**migration, "status": status})
        else:
            await self._migrate(migration, resource)

    def _is_next(self, migration: Object) -> bool:
        """Whether it runs, or none of the others does and it is the oldest."""
        waiting = [other for other in self.of_same_resource(migration) if not is_over(other)]
        chosen = min(waiting, key=_turn, default=migration)
        return name_of(chosen) == name_of(migration)

    def of_same_resource(self, migration: Object) -> Iterable[Object]:
        return [m for m in self._migrations.store.list() if wanted_of(m) == wanted_of(migration)]

    def affected(self, old: Object | None, new: Object | None) -> list[Key]:
        """One that ends or goes lets the next one begin."""
        changed = new or old
        others = [] if changed is None else [changed, *self.of_same_resource(changed)]
        return list(dict.fromkeys(key_of(other) for other in others))

    async def _find(self, wanted: Object) -> Resource | None:
        """The resource in the version that discovery prefers."""
        named = (wanted["group"], wanted["resource"])
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
            if isinstance(failure, StatusError) and failure.code not in PASSING:
                await self._end(migration, "Failed", f"migration encountered unhandled error: {failure}")
                return
            if failure is not None:
                raise failure
        await self._end(migration, "Succeeded")

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

    async def _end(self, migration: Object, state: str, message: str = "") -> None:
        if has_condition(migration, "Running"):
            await self._definitions.end(wanted_of(migration), success=state == "Succeeded")
        await self._set(migration, state, message)

    async def _set(self, migration: Object, state: str, message: str) -> None:
        status = with_state(migration, state, self._clock.now(), message)
        await self._migrations.update_status({**migration, "status": status})


def _turn(migration: Object) -> tuple[bool, str, str]:
    return not has_condition(migration, "Running"), migration["metadata"]["creationTimestamp"], name_of(migration)


def build(context: Context) -> Sequence[Runnable]:
    if FEATURE not in context.options.features:
        return []
    migrations = context.collection(STORAGE_VERSION_MIGRATIONS)
    definitions = Definitions(migrations.client, context.clock)
    reconciler = MigrationReconciler(migrations, definitions, context.clock)
    controller = context.controller(NAME, reconciler)
    controller.watch(migrations.informer, reconciler.affected)
    return [controller]


CONTROLLER = ControllerSpec(NAME, build)
