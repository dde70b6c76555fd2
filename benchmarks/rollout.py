"""``python -m benchmarks.rollout [--replicas 500]``: a Deployment onto simulated nodes, and its rolling update.

All components as in production: API server, controller manager, scheduler, and kubelets with ``--runtime simulated``, on the
cores that there are. The update's bounds are checked at every revision of the pods' watch. Fails (status 1) beyond a bar.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

import uvloop

from benchmarks.podhistory import PodHistory, are_ready
from benchmarks.stage import Stage, component, controllers, kubeconfig, simulated_nodes, stage
from kubeling.api.meta import Object, condition_of, is_deleting
from kubeling.api.resources import DEPLOYMENTS, NAMESPACES, NODES
from kubeling.client.rest import Client, PatchKind

NODE_SIZE = 110
FIRST_BAR, UPDATE_BAR = 20.0, 60.0


def deployment(replicas: int) -> Object:
    labels = {"app": "web"}
    container = {"name": "web", "image": "web:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web"}, "spec": spec}


def show(name: str, value: str, bar: str) -> None:
    print(f"{name:<46}{value:>24}   {bar}", flush=True)


async def until(check: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        await asyncio.sleep(0.05)


async def nodes_ready(client: Client, number: int) -> None:
    while True:
        nodes = (await client.list(NODES))["items"]
        ready = [n for n in nodes if (c := condition_of(n, "Ready")) and c["status"] == "True"]
        if len([n for n in ready if not n["spec"].get("taints")]) == number:
            return
        await asyncio.sleep(0.2)


async def measure(made: Stage, replicas: int, nodes: int) -> bool:
    client = Client.from_kubeconfig(kubeconfig(made))
    await nodes_ready(client, nodes)
    await client.create(NAMESPACES, {"metadata": {"name": "web"}})
    history = PodHistory(client, "web")
    recording = asyncio.ensure_future(history.run())
    began = time.monotonic()
    await client.create(DEPLOYMENTS, deployment(replicas), "web")
    await until(lambda: are_ready(history.now.values(), "web:1", replicas), 10 * FIRST_BAR)
    first = time.monotonic() - began
    since = len(history.changes)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
    began = time.monotonic()
    await client.patch(DEPLOYMENTS, "web", patch, "web", kind=PatchKind.STRATEGIC)
    await until(lambda: are_ready(history.now.values(), "web:2", replicas), 10 * UPDATE_BAR)
    update = time.monotonic() - began
    await until(lambda: not any(is_deleting(pod) for pod in history.now.values()), UPDATE_BAR)
    recording.cancel()
    fewest, most = history.bounds(since)
    await client.aclose()
    least, limit = replicas - replicas // 4, replicas + -(-replicas // 4)
    show(f"{replicas} replicas on {nodes} simulated nodes, all ready", f"{first:.1f} s", f"bar {FIRST_BAR:.0f} s")
    show("rolling update of them, default settings", f"{update:.1f} s", f"bar {UPDATE_BAR:.0f} s")
    show("fewest ready, most pods during the update", f"{fewest}, {most}", f"bounds {least}, {limit}")
    return first <= FIRST_BAR and update <= UPDATE_BAR and fewest >= least and most <= limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=500)
    replicas = parser.parse_args().replicas
    names = [f"node-{i}" for i in range(-(-replicas * 5 // 4 // NODE_SIZE))]
    with (
        stage(pinned=False) as made,
        controllers(made),
        component(made, "scheduler"),
        simulated_nodes(made, names, NODE_SIZE),
    ):
        return 0 if uvloop.run(measure(made, replicas, len(names))) else 1


if __name__ == "__main__":
    sys.exit(main())
