"""Random pod churn while the kubelet is killed, the engine restarted and the API server away: at the end the world equals the API
and nothing has leaked. On an engine of the test's own.

``KUBELING_CHURN_SECONDS`` makes it longer (1800 for the half hour of the bar), ``KUBELING_CHURN_SEED`` repeats a run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.engine import Engine, own_engine
from tests.e2e.support import IMAGE, Cluster, api_away, assert_no_leaks, eventually, start_cluster, stop_cluster

SECONDS = float(os.environ.get("KUBELING_CHURN_SECONDS", "20"))
SEED = int(os.environ.get("KUBELING_CHURN_SEED", "1"))
NAMESPACE = "default"
_COMMANDS = {
    "long": ["/bin/sleep", "1000"],
    "short": ["/bin/sleep", "1"],
    "crash": ["/bin/false"],
    "init": ["/bin/sleep", "1000"],
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with own_engine(f"klc{os.getpid()}", tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("churn")
    started = start_cluster(f"churn-{os.getpid()}", folder, prefix=engine.prefix, env=engine.env)
    yield started
    stop_cluster(started)


def pod(name: str, chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(sorted(_COMMANDS))
    mount = {"name": "m", "mountPath": "/m"}
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": chance.choice([0, 1, 2]),
        "restartPolicy": "Never" if kind == "short" else "Always",
        "containers": [{"name": "c", "image": IMAGE, "command": _COMMANDS[kind], "volumeMounts": [mount]}],
        "volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}],
    }
    if kind == "init":
        spec["initContainers"] = [{"name": "i", "image": IMAGE, "command": ["/bin/sleep", "1"]}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


class Churn:
    """Changes the cluster's pods and disturbs it, both by chance; ``live`` are the pods that should be there."""

    def __init__(self, engine: Engine, cluster: Cluster, seed: int) -> None:
        self.engine, self.cluster = engine, cluster
        self.chance, self.disorder = random.Random(seed), random.Random(seed + 1)
        self.live: set[str] = set()
        self.done: dict[str, int] = {}
        self._number = 0

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        disturbance = asyncio.create_task(self._disturb(end))
        while time.monotonic() < end:
            await asyncio.to_thread(self._change)
            await asyncio.sleep(self.chance.random() * 0.4)
        await disturbance

    def _change(self) -> None:
        """One pod made or deleted; while the API server is away, that is tried until it is back."""
        k = self.cluster.kubectl
        if len(self.live) < 6 or (len(self.live) < 20 and self.chance.random() < 0.5):
            name, self._number = f"churn-{self._number}", self._number + 1
            manifest = json.dumps(pod(name, self.chance))
            eventually(lambda: k("apply", "-f", "-", stdin=manifest), 120)
            self.live.add(name)
        else:
            name = self.chance.choice(sorted(self.live))
            force = ["--grace-period=0", "--force"] if self.chance.random() < 0.2 else []
            remove = ("-n", NAMESPACE, "delete", "pod", name, "--wait=false", "--ignore-not-found", *force)
            eventually(lambda: k(*remove) or True, 120)
            self.live.discard(name)

    async def _disturb(self, end: float) -> None:
        kinds = [self._kill_kubelet, self._stop_engine, self._kill_engine, self._lose_api]
        self.disorder.shuffle(kinds)
        while time.monotonic() < end:
            for act in kinds:
                await asyncio.sleep(self.disorder.uniform(2, 5))
                await asyncio.to_thread(act)
                self.done[act.__name__] = self.done.get(act.__name__, 0) + 1
            self.disorder.shuffle(kinds)

    def _kill_kubelet(self) -> None:
        for component, state in self.cluster.components().items():
            if component.startswith("kubelet") and state.get("pid"):
                os.kill(int(state["pid"]), signal.SIGKILL)

    def _stop_engine(self) -> None:
        self.engine.restart(signal.SIGTERM)

    def _kill_engine(self) -> None:
        self.engine.restart(signal.SIGKILL)

    def _lose_api(self) -> None:
        with api_away(self.cluster):
            time.sleep(self.disorder.uniform(1, 5))  # the absence itself is what is tried


async def test_churn_with_kubelet_kills_engine_restarts_and_api_outages(engine: Engine, cluster: Cluster) -> None:
    churn = Churn(engine, cluster, SEED)
    await churn.run(SECONDS)

    def settled() -> bool:
        pods = cluster.get("pods", "-n", NAMESPACE)["items"]
        assert {p["metadata"]["name"] for p in pods} == churn.live, f"seed {SEED}"
        unlike = [why for p in pods if (why := differs(cluster, p))]
        assert not unlike, f"seed {SEED}: {unlike}"
        return True

    eventually(settled, 90, 1.0)
    assert_no_leaks(cluster)
    print(f"churn: {churn._number} pods, {churn.done}")


def differs(cluster: Cluster, shown: dict[str, Any]) -> str:
    """How the API's status of a pod differs from the engine's containers; empty when it does not."""
    name, status = shown["metadata"]["name"], shown.get("status") or {}
    own = ("--filter", f"label=io.kubernetes.pod.uid={shown['metadata']['uid']}")
    container = (*own, "--filter", "label=io.kubernetes.container.name=c")
    lines = cluster.run(
        "docker", "ps", "-a", "--no-trunc", *container, "--format", '{{.Label "kubeling.attempt"}} {{.ID}} {{.State}}'
    ).splitlines()
    entry = (status.get("containerStatuses") or [{}])[0]
    if not lines:
        return f"{name} has no container"
    attempt, container_id, state = max(lines, key=lambda line: int(line.split()[0])).split()
    said = next(iter(entry.get("state") or {}), "")
    if (said == "running") != (state == "running"):
        return f"{name} is {state} and said to be {said}"
    if int(attempt) != entry.get("restartCount"):
        return f"{name} ran {attempt} times more and is said to have done so {entry.get('restartCount')} times"
    if said == "running" and entry.get("containerID") != f"docker://{container_id}":
        return f"{name} runs as {container_id} and is said to as {entry.get('containerID')}"
    if state != "running" and shown["spec"]["restartPolicy"] == "Always" and said != "waiting":
        return f"{name} has ended, is to run, and is said to be {said}"
    return ""
