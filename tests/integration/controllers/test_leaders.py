"""Two managers with leader election, whichever leads is killed again and again: the work ends as if nothing had happened."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from benchmarks.podhistory import PodHistory, are_ready, is_ready
from kubeling.api.meta import Object, condition_of, labels_of, name_of, uid_of
from kubeling.api.resources import DEPLOYMENTS, JOBS, LEASES, NAMESPACES, NODES, REPLICA_SETS, STATEFUL_SETS
from kubeling.client.rest import Client, PatchKind
from tests.integration.conftest import ApiServer, StartServer, running_etcd, start
from tests.integration.controllers.conftest import Manager, eventually, running, write_kubeconfig

KILLS, REPLICAS, ORDINALS, COMPLETIONS = 10, 20, 8, 200
ORDINAL_SECONDS = 4  # that each ordinal takes: the update outlasts the leaders
PACE = ("--leader-elect-lease-duration=2s", "--leader-elect-renew-deadline=1500ms", "--leader-elect-retry-period=200ms")
SURGE, UNAVAILABLE = 2, 1
STRATEGY = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": SURGE, "maxUnavailable": UNAVAILABLE}}
INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture
def cluster(start_apiserver: StartServer, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a server with a scheduler and one simulated node."""
    (tmp_path / "etcd").mkdir()
    with running_etcd(tmp_path / "etcd") as storage:
        server: ApiServer = start_apiserver(storage=storage)
        config = write_kubeconfig(server, tmp_path / "kubeconfig")
        flags = [
            "--runtime=simulated",
            "--hostname-override=n1",
            f"--root-dir={tmp_path / 'kubelet'}",
            "--max-pods=300",
        ]
        flags += ["--port=0", "--node-ip=127.0.0.1", "--eviction-hard=memory.available<1Mi"]
        processes = [
            start([sys.executable, "-m", "kubelet", f"--kubeconfig={config}", *flags], tmp_path / "kubelet.log"),
            start([sys.executable, "-m", "scheduler", f"--kubeconfig={config}"], tmp_path / "scheduler.log"),
        ]
        yield config
        for process in processes:
            process.stop()
        server.stop()


@pytest.fixture
async def api(cluster: Path) -> AsyncIterator[Client]:
    made = Client.from_kubeconfig(cluster)
    yield made
    await made.aclose()


class Pair:
    """Two managers; ``depose`` kills the one that leads and starts it again as the one that waits."""

    def __init__(self, client: Client, kubeconfig: Path, directory: Path) -> None:
        self._client = client
        self._managers = []
        for name in ("a", "b"):
            (directory / name).mkdir()
            self._managers.append(Manager(kubeconfig, directory / name, PACE))

    def start(self) -> None:
        for manager in self._managers:
            manager.start()

    async def leader(self, other_than: str = "") -> str:
        """The identity in the Lease, once it is another one."""

        async def found() -> str:
            self._revive()
            spec = (await self._client.get(LEASES, "kube-controller-manager", "kube-system"))["spec"]
            holder = str(spec.get("holderIdentity") or "")
            return holder if holder != other_than else ""

        return str(await eventually(found, 60))

    async def depose(self, identity: str) -> str:
        """Kills the holder of that identity; answers the next one."""
        for manager in self._managers:
            if manager.says(f"became leader of kube-system/kube-controller-manager as {identity}"):
                manager.kill()
                manager.start()
        return await self.leader(other_than=identity)

    def _revive(self) -> None:
        """A manager that could not renew in time on a busy machine ends by itself, for its supervisor to start it again."""
        for manager in self._managers:
            if manager.process is not None and manager.process.popen.poll() is not None:
                manager.start()

    def stop(self) -> None:
        for manager in self._managers:
            manager.kill()


@pytest.fixture
def pair(api: Client, cluster: Path, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(api, cluster, tmp_path)
    made.start()
    yield made
    made.stop()


def labelled(app: str, image: str, **spec: object) -> Object:
    container = {"name": "c", "image": image}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {"metadata": {"labels": {"app": app}}, "spec": pod}


def workload(name: str, replicas: int, **spec: object) -> Object:
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": selector, "template": labelled(name, "one"), **spec},
    }


def indexed_job() -> Object:
    template = labelled("sum", "sim/exit:0", restartPolicy="Never")
    counts = {"completions": COMPLETIONS, "parallelism": 8, "completionMode": "Indexed"}
    return {"metadata": {"name": "sum"}, "spec": {**counts, "template": template}}


def of(app: str, history: PodHistory) -> list[Object]:
    return [pod for pod in history.now.values() if labels_of(pod).get("app") == app]


async def set_up(api: Client, history: PodHistory) -> None:
    """Deployment and StatefulSet, ready, with their first image."""

    async def node_ready() -> bool:
        nodes = (await api.list(NODES))["items"]
        conditions = [condition_of(node, "Ready") for node in nodes]
        return (
            bool(nodes) and all(c and c["status"] == "True" for c in conditions) and not nodes[0]["spec"].get("taints")
        )

    await eventually(node_ready, 60)
    await api.create(DEPLOYMENTS, workload("web", REPLICAS, minReadySeconds=1, strategy=STRATEGY), "ns")
    await api.create(STATEFUL_SETS, workload("db", ORDINALS, serviceName="db"), "ns")

    async def ready() -> bool:
        return are_ready(of("web", history), "one", REPLICAS) and are_ready(of("db", history), "one", ORDINALS)

    await eventually(ready, 90)


async def begin(api: Client) -> None:
    """The updates, and the job."""
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}}
    await api.patch(DEPLOYMENTS, "web", patch, "ns", kind=PatchKind.STRATEGIC)
    slow = {"spec": {**patch["spec"], "minReadySeconds": ORDINAL_SECONDS}}
    await api.patch(STATEFUL_SETS, "db", slow, "ns", kind=PatchKind.STRATEGIC)
    await api.create(JOBS, indexed_job(), "ns")


async def test_ten_leaders_are_killed(api: Client, pair: Pair) -> None:
    await api.create(NAMESPACES, {"metadata": {"name": "ns"}})
    history, rng = PodHistory(api, "ns"), random.Random(5)
    async with running(history.run):
        await set_up(api, history)
        leader, since = await pair.leader(), len(history.changes)
        await begin(api)
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.1, 1.0))  # the disturbance comes at any moment of a leader's work
            leader = await pair.depose(leader)
        assert not are_ready(of("db", history), "two", ORDINALS)
        await finished(api, history)
    check_deployment(history, since)
    check_ordinals(history)
    check_indexes(history)


async def finished(api: Client, history: PodHistory) -> None:
    async def all_done() -> bool:
        """The Deployment and the StatefulSet are updated, the job is complete."""
        web, db = (await api.get(DEPLOYMENTS, "web", "ns")), (await api.get(STATEFUL_SETS, "db", "ns"))
        job = (await api.get(JOBS, "sum", "ns")).get("status") or {}
        complete = condition_of({"status": job}, "Complete")
        return bool(
            are_ready(of("web", history), "two", REPLICAS)
            and are_ready(of("db", history), "two", ORDINALS)
            and web["status"].get("updatedReplicas") == web["status"].get("replicas") == REPLICAS
            and db["status"].get("currentRevision") == db["status"].get("updateRevision")
            and complete
            and complete["status"] == "True"
        )

    await eventually(all_done, 120)
    job = (await api.get(JOBS, "sum", "ns"))["status"]
    assert (job["succeeded"], job.get("failed"), job["completedIndexes"]) == (COMPLETIONS, None, f"0-{COMPLETIONS - 1}")
    sets = (await api.list(REPLICA_SETS, "ns"))["items"]
    assert sorted(rs["spec"]["replicas"] for rs in sets) == [0, REPLICAS]


def check_deployment(history: PodHistory, since: int) -> None:
    fewest, most = history.bounds(since, lambda pod: labels_of(pod).get("app") == "web")
    assert fewest >= REPLICAS - UNAVAILABLE and most <= REPLICAS + SURGE


def check_ordinals(history: PodHistory) -> None:
    """At no moment two pods of an ordinal; none was gone before its containers had ended; never two missing at once."""
    for pods in history.moments():
        ordinals = Counter(
            labels_of(p).get("apps.kubernetes.io/pod-index") for p in pods.values() if "db-" in name_of(p)
        )
        assert max(ordinals.values(), default=0) <= 1
    for type_, pod in history.changes:
        if type_ == "DELETED" and labels_of(pod).get("app") == "db":
            statuses = pod["status"].get("containerStatuses") or ()
            assert statuses and all("terminated" in s["state"] for s in statuses), name_of(pod)
    ready = (sum(is_ready(p) for p in pods.values() if "db-" in name_of(p)) for pods in history.moments())
    first_ready = next(number for number, count in enumerate(ready, 1) if count == ORDINALS)
    fewest, _ = history.bounds(first_ready, lambda pod: labels_of(pod).get("app") == "db")
    assert fewest >= ORDINALS - 1


def check_indexes(history: PodHistory) -> None:
    """Each index succeeded in exactly one pod."""
    succeeded = {
        uid_of(pod): labels_of(pod)[INDEX]
        for _, pod in history.changes
        if INDEX in labels_of(pod) and (pod.get("status") or {}).get("phase") == "Succeeded"
    }
    assert sorted(map(int, succeeded.values())) == list(range(COMPLETIONS))
