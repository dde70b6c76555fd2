"""Workload controllers against the real server, looked at through the state of the world and its recorded history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubeling.api.meta import Object, is_deleting, name_of
from kubeling.api.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)
from kubeling.client.rest import Client, PatchKind
from tests.integration.controllers.conftest import Manager, PretendKubelets, eventually, running

pytestmark = pytest.mark.usefixtures("manager")


def template(app: str, image: str = "one", **pod: Any) -> Object:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}], **pod}}


def workload(name: str, replicas: int, **spec: Any) -> Object:
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": selector, "template": template(name), **spec},
    }


def image_patch(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}


async def rolled_out(client: Client, namespace: str, image: str, replicas: int, seconds: float = 60.0) -> None:
    async def done() -> bool:
        status = (await client.get(DEPLOYMENTS, "web", namespace)).get("status") or {}
        pods = (await client.list(PODS, namespace))["items"]
        images = [p["spec"]["containers"][0]["image"] for p in pods]
        ready = status.get("readyReplicas") == status.get("updatedReplicas") == status.get("replicas") == replicas
        return ready and images == [image] * replicas

    await eventually(done, seconds)


class History:
    """Every change of a namespace's pods, in order."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self.changes: list[tuple[str, Object]] = []

    async def run(self) -> None:
        async for type_, obj in self._client.watch(PODS, self._namespace, resource_version="0", bookmarks=False):
            self.changes.append((type_, obj))

    def bounds(self, since: int = 0) -> tuple[int, int]:
        """(fewest ready, most living) pods at any moment after the first ``since`` changes."""
        pods: dict[str, Object] = {}
        ready, living = [], []
        for number, (type_, obj) in enumerate(self.changes):
            pods[name_of(obj)] = obj
            if type_ == "DELETED":
                del pods[name_of(obj)]
            if number >= since:
                alive = [p for p in pods.values() if not is_deleting(p)]
                living.append(len(alive))
                ready.append(sum(_is_ready(p) for p in alive))
        return min(ready, default=0), max(living, default=0)


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.mark.usefixtures("kubelets")
async def test_rolling_update_within_its_bounds_while_the_leader_is_killed(
    client: Client, namespace: str, manager: Manager
) -> None:
    history = History(client, namespace)
    async with running(history.run):
        await client.create(DEPLOYMENTS, workload("web", 20), namespace)
        await rolled_out(client, namespace, "one", 20)
        since = len(history.changes)
        await client.patch(DEPLOYMENTS, "web", image_patch("two"), namespace, kind=PatchKind.STRATEGIC)
        await asyncio.sleep(0.3)
        manager.kill()
        manager.start()  # it waits until the lease of the dead one has run out
        await rolled_out(client, namespace, "two", 20)
        assert await eventually(lambda: _caught_up(history))
        fewest, most = history.bounds(since)
        assert fewest >= 15 and most <= 25
    sets = (await client.list(REPLICA_SETS, namespace))["items"]
    assert sorted(rs["spec"]["replicas"] for rs in sets) == [0, 20]


async def _caught_up(history: History) -> bool:
    await asyncio.sleep(0.2)
    return bool(history.changes)


@pytest.mark.usefixtures("kubelets")
async def test_the_old_groups_way_of_rolling_back(client: Client, namespace: str) -> None:
    await client.create(DEPLOYMENTS, workload("web", 2), namespace)
    await rolled_out(client, namespace, "one", 2)
    await client.patch(DEPLOYMENTS, "web", image_patch("two"), namespace, kind=PatchKind.STRATEGIC)
    await rolled_out(client, namespace, "two", 2)
    wish = {"metadata": {"annotations": {"deprecated.deployment.rollback.to": "0"}}}
    await client.patch(DEPLOYMENTS, "web", wish, namespace, kind=PatchKind.MERGE)
    await rolled_out(client, namespace, "one", 2)
    annotations = (await client.get(DEPLOYMENTS, "web", namespace))["metadata"]["annotations"]
    assert annotations == {"deployment.kubernetes.io/revision": "3"}


@pytest.mark.usefixtures("kubelets")
async def test_a_deleted_deployment_takes_everything_along(client: Client, namespace: str) -> None:
    await client.create(DEPLOYMENTS, workload("web", 3), namespace)
    await rolled_out(client, namespace, "one", 3)
    await client.delete(DEPLOYMENTS, "web", namespace, propagation_policy="Foreground")

    async def gone() -> bool:
        lists = [await client.list(r, namespace) for r in (DEPLOYMENTS, REPLICA_SETS, PODS)]
        return not any(found["items"] for found in lists)

    await eventually(gone)


async def test_orphans_stay_and_are_adopted(client: Client, namespace: str, kubelets: PretendKubelets) -> None:
    await client.create(DEPLOYMENTS, workload("web", 2), namespace)
    await rolled_out(client, namespace, "one", 2)
    before = {name_of(p) for p in (await client.list(PODS, namespace))["items"]}
    await client.delete(DEPLOYMENTS, "web", namespace, propagation_policy="Orphan")

    async def orphaned() -> bool:
        sets = (await client.list(REPLICA_SETS, namespace))["items"]
        gone = not (await client.list(DEPLOYMENTS, namespace))["items"]
        return gone and not sets[0]["metadata"].get("ownerReferences")

    await eventually(orphaned)
    await client.create(DEPLOYMENTS, workload("web", 2), namespace)
    await rolled_out(client, namespace, "one", 2)
    assert {name_of(p) for p in (await client.list(PODS, namespace))["items"]} == before


async def test_job_completes_once_per_index_while_the_leader_is_killed(
    client: Client, namespace: str, kubelets: PretendKubelets, manager: Manager
) -> None:
    kubelets.phase = "Succeeded"
    pod = template("j", restartPolicy="Never")
    spec = {"completions": 30, "parallelism": 5, "completionMode": "Indexed", "template": pod}
    await client.create(JOBS, {"metadata": {"name": "j"}, "spec": spec}, namespace)
    await asyncio.sleep(0.3)
    manager.kill()
    manager.start()

    async def complete() -> bool:
        status = (await client.get(JOBS, "j", namespace)).get("status") or {}
        return any(c["type"] == "Complete" and c["status"] == "True" for c in status.get("conditions") or ())

    await eventually(complete, 40)
    status = (await client.get(JOBS, "j", namespace))["status"]
    assert (status["succeeded"], status["completedIndexes"]) == (30, "0-29")
    pods = (await client.list(PODS, namespace))["items"]
    indexes = [int(p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]) for p in pods]
    assert sorted(indexes) == list(range(30))
    assert not any(p["metadata"].get("finalizers") for p in pods)


@pytest.mark.usefixtures("kubelets")
async def test_statefulset_update(client: Client, namespace: str) -> None:
    await client.create(STATEFUL_SETS, workload("db", 3, serviceName="db"), namespace)

    async def at(image: str) -> bool:
        pods = (await client.list(PODS, namespace))["items"]
        found = {name_of(p): p["spec"]["containers"][0]["image"] for p in pods if _is_ready(p)}
        return found == {f"db-{i}": image for i in range(3)}

    await eventually(lambda: at("one"))
    await client.patch(STATEFUL_SETS, "db", image_patch("two"), namespace, kind=PatchKind.STRATEGIC)
    await eventually(lambda: at("two"))

    async def settled() -> bool:
        status = (await client.get(STATEFUL_SETS, "db", namespace))["status"]
        return bool(status["currentRevision"] == status["updateRevision"] and status["currentReplicas"] == 3)

    await eventually(settled)


async def test_a_namespace_is_furnished_and_emptied(client: Client) -> None:
    name = "t-furnished"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    await eventually(lambda: client.get(SERVICE_ACCOUNTS, "default", name))
    published = await eventually(lambda: client.get(CONFIG_MAPS, "kube-root-ca.crt", name))
    assert isinstance(published, dict) and published["data"]["ca.crt"]
    await client.create(CONFIG_MAPS, {"metadata": {"name": "x"}}, name)
    await client.delete(NAMESPACES, name)

    async def gone() -> bool:
        return name not in [name_of(n) for n in (await client.list(NAMESPACES))["items"]]

    await eventually(gone)


async def test_a_service_gets_its_slice(client: Client, namespace: str) -> None:
    spec = {"selector": {"app": "none"}, "ports": [{"port": 80}]}
    await client.create(SERVICES, {"metadata": {"name": "s"}, "spec": spec}, namespace)

    async def there() -> list[Object]:
        found = await client.list(ENDPOINT_SLICES, namespace, label_selector="kubernetes.io/service-name=s")
        return list(found["items"])

    (slice_,) = await eventually(there)  # type: ignore[misc]  # a list
    assert slice_["endpoints"] in ([], None)
    await client.delete(SERVICES, "s", namespace)

    async def collected() -> bool:
        return not await there()

    await eventually(collected)
