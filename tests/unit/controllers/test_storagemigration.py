"""Storage version migrations: what is written, how it ends."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from controllers.storagemigration.controller import CONTROLLER, empty_apply, with_state
from kubeling.api.errors import StatusError, forbidden, internal_error
from kubeling.api.meta import Object
from kubeling.api.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, STORAGE_VERSION_MIGRATIONS
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON = {"feature_gates": ["StorageVersionMigrator=true"]}


COMPLETED = ("Running", "False", "MigrationCompleted", "Migration completed")


def conditions(w: World, name: str = "m") -> list[tuple[str, str, str, str]]:
    status = w.get(STORAGE_VERSION_MIGRATIONS, name).get("status") or {}
    return [(c["type"], c["status"], c["reason"], c["message"]) for c in status.get("conditions") or ()]


def migrate(w: World, resource: str, group: str = "", name: str = "m") -> None:
    spec = {"resource": {"group": group, "resource": resource}}
    w.create(STORAGE_VERSION_MIGRATIONS, name, spec, namespace="")


def define(w: World, plural: str = "configmaps.") -> None:
    """A definition of the fake's config maps, so that they are custom resources; it has stored two versions."""
    versions = [{"name": "v1", "storage": False}, {"name": "v2", "storage": True}]
    w.create(CUSTOM_RESOURCE_DEFINITIONS, plural, {"versions": versions}, namespace="")
    w.api.update(CUSTOM_RESOURCE_DEFINITIONS, "", plural, lambda o: o.update(status={"storedVersions": ["v1", "v2"]}))


def told(w: World, plural: str = "configmaps.") -> tuple[list[str], list[tuple[str, str, str]]]:
    status = w.get(CUSTOM_RESOURCE_DEFINITIONS, plural)["status"]
    return status["storedVersions"], [(c["status"], c["reason"], c["message"]) for c in status["conditions"]]


async def test_every_object_is_applied_unchanged_and_the_end_is_told() -> None:
    async with World(CONTROLLER, **ON) as w:
        for name in ("a", "b"):
            w.create(CONFIG_MAPS, name, {})
        version = str(w.api.version)
        migrate(w, "configmaps")
        await w.settle()
        assert int(w.get(STORAGE_VERSION_MIGRATIONS, "m")["status"]["resourceVersion"]) >= int(version)
        assert [path for method, path in w.api.writes if method == "PATCH"] == [
            "/api/v1/namespaces/ns/configmaps/a",
            "/api/v1/namespaces/ns/configmaps/b",
        ]
        assert conditions(w) == [
            COMPLETED,
            ("Succeeded", "True", "StorageVersionMigrationSucceeded", ""),
        ]


async def test_a_resource_that_nobody_serves_fails() -> None:
    async with World(CONTROLLER, **ON) as w:
        migrate(w, "widgets", "example.com")
        await w.settle()
        text = "resource does not exist in discovery"
        assert conditions(w) == [("Failed", "True", "StorageVersionMigrationFailed", text)]


def refusing(w: World, error: StatusError) -> None:
    def fail(request: httpx.Request) -> StatusError | None:
        refused = request.method == "PATCH" and request.url.path.endswith("/configmaps/a")
        return error if refused else None

    w.api.fail = fail


async def test_an_object_that_cannot_be_written_fails_the_migration() -> None:
    async with World(CONTROLLER, **ON) as w:
        refusing(w, forbidden("", "configmaps", "a", "no"))
        define(w)
        w.create(CONFIG_MAPS, "a", {})
        migrate(w, "configmaps")
        await w.settle()
        why = 'migration encountered unhandled error: configmaps "a" is forbidden: no'
        assert conditions(w) == [COMPLETED, ("Failed", "True", "StorageVersionMigrationFailed", why)]
        assert told(w) == (["v1", "v2"], [("False", "MigrationFailed", "The migration has failed")])


async def test_a_passing_failure_is_outlived() -> None:
    async with World(CONTROLLER, **ON) as w:
        refusing(w, internal_error("oh"))
        w.create(CONFIG_MAPS, "a", {})
        migrate(w, "configmaps")
        await w.settle()
        assert conditions(w) == [("Running", "True", "MigrationRunning", "The migration is running")]
        w.api.fail = None
        await w.settle(60)
        assert conditions(w)[-1][:2] == ("Succeeded", "True")


async def test_a_custom_resource_is_stored_in_one_version_then() -> None:
    async with World(CONTROLLER, **ON) as w:
        define(w)
        w.create(CONFIG_MAPS, "a", {})
        migrate(w, "configmaps")
        await w.settle()
        message = "The migration has succeeded and the stored versions have been updated"
        assert told(w) == (["v2"], [("False", "MigrationSucceeded", message)])


async def test_a_definition_that_changes_meanwhile_keeps_its_stored_versions() -> None:
    async with World(CONTROLLER, **ON) as w:
        refusing(w, internal_error("oh"))
        define(w)
        w.create(CONFIG_MAPS, "a", {})
        migrate(w, "configmaps")
        await w.settle()
        assert told(w)[1] == [("True", "MigrationRunning", "Migration m is running")]
        w.api.update(CUSTOM_RESOURCE_DEFINITIONS, "", "configmaps.", lambda o: o["spec"].update(scope="Cluster"))
        w.api.fail = None
        await w.settle(60)
        message = (
            "The migration has succeeded but the stored versions have not been updated due to a generation mismatch"
        )
        assert told(w) == (["v1", "v2"], [("False", "MigrationSucceeded", message)])


@pytest.mark.parametrize("ended", [True, False])
async def test_one_migration_of_a_resource_runs_at_a_time(ended: bool) -> None:
    async with World(CONTROLLER, **ON) as w:
        refusing(w, internal_error("oh"))
        w.create(CONFIG_MAPS, "a", {})
        for name in ("b", "a"):
            migrate(w, "configmaps", name=name)
            await w.settle(2)
        migrate(w, "secrets", name="c")
        await w.settle()
        assert [c[0] for c in conditions(w, "b")] == ["Running"]
        assert conditions(w, "a") == []
        assert conditions(w, "c")[-1][:2] == ("Succeeded", "True")
        if ended:
            w.api.fail = None
        else:
            w.api.delete(STORAGE_VERSION_MIGRATIONS, "", "b")
        await w.settle(60)
        assert conditions(w, "a")[0][0] == "Running"


async def test_without_the_feature_nothing_runs() -> None:
    async with World(CONTROLLER) as w:
        migrate(w, "configmaps")
        await w.settle()
        assert conditions(w) == []


def test_a_state_is_told_once() -> None:
    once: Object = {"metadata": {}, "status": with_state({"metadata": {}}, "Running", NOW)}
    assert with_state(once, "Running", NOW) is once["status"]


def test_the_apply_names_the_very_object() -> None:
    obj: Object = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"}}, "data": {}}
    assert empty_apply(CONFIG_MAPS, obj) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"uid": "u", "resourceVersion": "7"},
    }
