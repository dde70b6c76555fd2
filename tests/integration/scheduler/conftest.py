"""Fixtures: the scheduler as in production (its own process, its own identity) against an API server with its own data."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from kubeling.api.meta import Object
from kubeling.api.resources import NODES, PODS, SERVICE_ACCOUNTS
from kubeling.client.rest import Client, PatchKind
from tests.integration.conftest import ADMIN, ApiServer, Process, StartServer, running_etcd, start


def kubeconfig_as(server: ApiServer, path: Path, user: str) -> Path:
    """A kubeconfig whose holder acts as ``user``, with no other rights than that user has."""
    identity = {"token": ADMIN, **({"as": user} if user else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "t", "cluster": {"server": server.url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "t", "user": identity}],
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        "current-context": "t",
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def server(start_apiserver: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """On an etcd of its own: a controller manager of other tests must not take part."""
    with running_etcd(tmp_path_factory.mktemp("scheduler-etcd")) as storage:
        made = start_apiserver(storage=storage)
        yield made
        made.stop()


@pytest.fixture(scope="module")
def scheduler(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    directory = tmp_path_factory.mktemp("scheduler")
    kubeconfig = kubeconfig_as(server, directory / "kubeconfig", "system:kube-scheduler")
    process = start([sys.executable, "-m", "scheduler", f"--kubeconfig={kubeconfig}"], directory / "log")
    yield process
    assert process.stop() == 0
    log = process.log.read_text()
    assert "Traceback" not in log and "WARNING" not in log, log


class World:
    """Nodes and pods of one test, made and looked at as an administrator."""

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self.prefix = prefix

    async def node(self, name: str, cpu: str = "4") -> str:
        """A ready node that only this test's pods choose (by the label ``test``); answers its name."""
        name = f"{self.prefix}-{name}"
        labels = {"kubernetes.io/hostname": name, "test": self.prefix}
        await self.client.create(
            NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        )
        allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        status = {"status": {"allocatable": allocatable, "capacity": allocatable}}
        await self.client.patch(NODES, name, status, subresource="status")
        await self.client.patch(NODES, name, {"spec": {"taints": None}})
        return name

    async def pod(self, name: str, cpu: str = "", **spec: object) -> Object:
        resources = {"requests": {"cpu": cpu}} if cpu else {}
        containers = [{"name": "c", "image": "web:1", "resources": resources}]
        body = {"containers": containers, "nodeSelector": {"test": self.prefix}, **spec}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": self.prefix}, "spec": body}
        return await self.client.create(PODS, pod)

    async def get(self, name: str) -> Object:
        return await self.client.get(PODS, name, self.prefix)

    async def finish(self, name: str) -> None:
        await self.client.patch(
            PODS, name, {"status": {"phase": "Succeeded"}}, self.prefix, kind=PatchKind.MERGE, subresource="status"
        )


@pytest.fixture
async def world(
    server: ApiServer, scheduler: Process, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    from kubeling.api.resources import NAMESPACES

    client = Client.from_kubeconfig(kubeconfig_as(server, tmp_path / "admin", ""))
    prefix = request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": prefix}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": prefix}}
    await client.create(SERVICE_ACCOUNTS, account)
    yield World(client, prefix)
    await client.aclose()
