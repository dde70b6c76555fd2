"""Random pod churn while the kubelet is killed again and again: at the end the world equals the API and nothing leaked.

``KUBELING_CHURN_SECONDS`` makes it longer, ``KUBELING_CHURN_SEED`` repeats a run.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any

from kubeling.api.resources import PODS
from kubeling.client.rest import Client
from tests.e2e.support import IMAGE, Cluster, eventually, run

SECONDS = float(os.environ.get("KUBELING_CHURN_SECONDS", "12"))
SEED = int(os.environ.get("KUBELING_CHURN_SEED", "1"))
_COMMANDS = {
    "long": ["/bin/sleep", "1000"],
    "short": ["/bin/sleep", "1"],
    "crash": ["/bin/false"],
    "init": ["/bin/sleep", "1000"],
}


def pod(name: str, namespace: str, chance: random.Random) -> dict[str, Any]:
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
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


async def churn(client: Client, namespace: str, cluster: Cluster, chance: random.Random) -> set[str]:
    """Creates and deletes pods, kills kubelets; answers the names of the pods that should be there."""
    live: set[str] = set()
    end, kill_at = time.monotonic() + SECONDS, time.monotonic() + 2
    number = 0
    while time.monotonic() < end:
        if len(live) < 6 or chance.random() < 0.5:
            name, number = f"churn-{number}", number + 1
            await client.create(PODS, pod(name, namespace, chance))
            live.add(name)
        else:
            name = chance.choice(sorted(live))
            live.discard(name)
            grace = 0 if chance.random() < 0.2 else None
            await client.delete(PODS, name, namespace, grace_period_seconds=grace)
        await asyncio.sleep(chance.random() * 0.4)
        if time.monotonic() > kill_at:
            kill_at = time.monotonic() + chance.uniform(3, 8)
            for component, state in cluster.components().items():
                if component.startswith("kubelet") and state.get("pid"):
                    os.kill(int(state["pid"]), 9)
    return live


async def test_churn_with_kubelet_kills(cluster: Cluster, namespace: str) -> None:
    client = Client.from_kubeconfig(cluster.kubeconfig)
    try:
        live = await churn(client, namespace, cluster, random.Random(SEED))
    finally:
        await client.aclose()

    def settled() -> bool:
        pods = {p["metadata"]["uid"]: p["metadata"]["name"] for p in cluster.get("pods", "-n", namespace)["items"]}
        assert set(pods.values()) == live
        mine = f"label=kubeling.cluster={cluster.name}"
        there = f"label=io.kubernetes.pod.namespace={namespace}"
        shown = '{{.Label "io.kubernetes.pod.uid"}} {{.Label "io.kubernetes.container.name"}}'
        lines = run("docker", "ps", "-a", "--filter", mine, "--filter", there, "--format", shown).splitlines()
        owners = {line.split()[0] for line in lines}
        assert owners <= set(pods), f"containers of unknown pods (seed {SEED})"
        sandboxes = [line for line in lines if line.endswith(" POD")]
        assert len(sandboxes) == len(set(sandboxes)), f"two sandboxes of one pod (seed {SEED})"
        every = {p["metadata"]["uid"] for p in cluster.get("pods", "-A")["items"]}
        folders = {p.name for p in Path(f"/var/lib/kubeling/{cluster.name}/kubelet").glob("*/pods/*")}
        assert folders <= every, f"folders of unknown pods (seed {SEED})"
        return True

    assert eventually(settled, 60, 1.0)
