"""Storage version migrations: what is written, how it ends."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from controllers.storagemigration import CONTROLLER, empty_apply, with_state
from kubeling.api.errors import StatusError, forbidden
from kubeling.api.meta import Object
from kubeling.api.resources import CONFIG_MAPS, STORAGE_VERSION_MIGRATIONS
from tests.unit.controllers.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON = {"feature_gates": ["StorageVersionMigrator=true"]}


def conditions(w: World) -> list[tuple[str, str, str, str]]:
    status = w.get(STORAGE_VERSION_MIGRATIONS, "m").get("status") or {}
    return [(c["type"], c["status"], c["reason"], c["message"]) for c in status.get("conditions") or ()]


def migrate(w: World, resource: str, group: str = "") -> None:
    spec = {"resource": {"group": group, "resource": resource}}
    w.create(STORAGE_VERSION_MIGRATIONS, "m", spec, namespace="")


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
            ("Running", "False", "StorageVersionMigrationInProgress", ""),
            ("Succeeded", "True", "StorageVersionMigrationSucceeded", ""),
        ]


async def test_a_resource_that_nobody_serves_fails() -> None:
    async with World(CONTROLLER, **ON) as w:
        migrate(w, "widgets", "example.com")
        await w.settle()
        text = "resource does not exist in discovery"
        assert conditions(w) == [("Failed", "True", "StorageVersionMigrationFailed", text)]


async def test_an_object_that_cannot_be_written_fails_the_migration() -> None:
    def fail(request: httpx.Request) -> StatusError | None:
        refused = request.method == "PATCH" and request.url.path.endswith("/configmaps/a")
        return forbidden("", "configmaps", "a", "no") if refused else None

    async with World(CONTROLLER, **ON) as w:
        w.api.fail = fail
        w.create(CONFIG_MAPS, "a", {})
        migrate(w, "configmaps")
        await w.settle()
        assert conditions(w)[-1] == (
            "Failed", "True", "StorageVersionMigrationFailed", "migration encountered unhandled error",
        )  # fmt: skip
        assert conditions(w)[0][:2] == ("Running", "False")


async def test_without_the_feature_nothing_runs() -> None:
    async with World(CONTROLLER) as w:
        migrate(w, "configmaps")
        await w.settle()
        assert conditions(w) == []


def test_a_state_is_told_once() -> None:
    once = with_state({}, "Running", NOW)
    assert with_state(once, "Running", NOW) is once


def test_the_apply_names_the_very_object() -> None:
    obj: Object = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"}}, "data": {}}
    assert empty_apply(CONFIG_MAPS, obj) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"uid": "u", "resourceVersion": "7"},
    }
