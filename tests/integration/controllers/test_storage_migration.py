"""Storage version migrations: an API that is off by default, and its controller under its own service account."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, has_condition
from kubeling.api.resource import Resource
from kubeling.api.resources import CUSTOM_RESOURCE_DEFINITIONS, STORAGE_VERSION_MIGRATIONS
from kubeling.client.rest import Client, PatchKind
from tests.integration.conftest import StartServer, running_etcd
from tests.integration.controllers.conftest import Manager, eventually, write_kubeconfig

GROUP = "migrated.example"
WIDGETS = Resource(GROUP, "v1", "Widget", "widgets", False)
VERSION: Object = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
NAMES = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}


class Site:
    """A client of the server with the API on, and what stands in its etcd."""

    def __init__(self, client: Client, etcd: str) -> None:
        self.client = client
        self._etcd = etcd

    def stored(self, name: str) -> str:
        key = base64.b64encode(f"/registry/{GROUP}/widgets/{name}".encode()).decode()
        found = httpx.post(f"{self._etcd}/v3/kv/range", json={"key": key}, trust_env=False).json()["kvs"][0]
        version: str = orjson.loads(base64.b64decode(found["value"]))["apiVersion"]
        return version


@pytest.fixture
async def site(start_apiserver: StartServer, tmp_path: Path) -> AsyncIterator[Site]:
    with running_etcd(tmp_path) as storage:
        gate = "--feature-gates=StorageVersionMigrator=true"
        server = start_apiserver("--runtime-config=storagemigration.k8s.io/v1beta1=true", gate, storage=storage)
        kubeconfig = write_kubeconfig(server, tmp_path / "config")
        manager = Manager(kubeconfig, tmp_path, flags=[gate])
        manager.start()
        client = Client.from_kubeconfig(kubeconfig)
        yield Site(client, storage.url)
        await client.aclose()
        manager.stop()
        server.stop()


async def test_stored_objects_move_to_the_new_storage_version(site: Site) -> None:
    client = site.client
    spec = {"group": GROUP, "scope": "Cluster", "names": NAMES, "versions": [VERSION]}
    definition = {"metadata": {"name": f"widgets.{GROUP}"}, "spec": spec}
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition)

    async def served() -> bool:
        """the custom resource is served"""
        try:
            await client.list(WIDGETS)
        except StatusError as err:
            if not is_not_found(err):
                raise
            return False
        return True

    await eventually(served)
    for name in ("a", "b"):
        await client.create(WIDGETS, {"metadata": {"name": name}})
    versions = [{**VERSION, "storage": False}, {**VERSION, "name": "v2"}]
    await client.patch(
        CUSTOM_RESOURCE_DEFINITIONS, f"widgets.{GROUP}", {"spec": {"versions": versions}}, kind=PatchKind.MERGE
    )
    wanted = {"group": GROUP, "resource": "widgets"}
    await client.create(STORAGE_VERSION_MIGRATIONS, {"metadata": {"name": "m"}, "spec": {"resource": wanted}})

    async def succeeded() -> bool:
        """the migration has succeeded"""
        return has_condition(await client.get(STORAGE_VERSION_MIGRATIONS, "m"), "Succeeded")

    await eventually(succeeded, 60)
    assert [site.stored(name) for name in ("a", "b")] == [f"{GROUP}/v2"] * 2
    told = await client.get(CUSTOM_RESOURCE_DEFINITIONS, f"widgets.{GROUP}")
    assert told["status"]["storedVersions"] == ["v2"]
    migrating = next(c for c in told["status"]["conditions"] if c["type"] == "StorageMigrating")
    assert (migrating["status"], migrating["reason"]) == ("False", "MigrationSucceeded")
    assert migrating["observedGeneration"] == told["metadata"]["generation"]
    assert has_condition(told, "Established")
    await _validation(client)


async def _validation(client: Client) -> None:
    with pytest.raises(StatusError, match=r"spec.resource.resource: Required value: resource is required"):
        await client.create(STORAGE_VERSION_MIGRATIONS, {"metadata": {"name": "n"}, "spec": {"resource": {}}})
    done = await client.get(STORAGE_VERSION_MIGRATIONS, "m")
    with pytest.raises(StatusError, match='resourceVersion: Invalid value: "1": cannot be updated'):
        await client.update(
            STORAGE_VERSION_MIGRATIONS,
            {**done, "status": {**done["status"], "resourceVersion": "1"}},
            subresource="status",
        )
    table = await client.request(
        "GET",
        "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations",
        headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
    )
    assert [row["cells"] for row in table["rows"]] == [["m", f"widgets.{GROUP}"]]


async def test_a_default_server_does_not_serve_it(client: Client) -> None:
    with pytest.raises(StatusError) as refused:
        await client.list(STORAGE_VERSION_MIGRATIONS)
    assert refused.value.code == 404
