"""``python -m benchmarks.pod_start``: from creating a pod to its container running, beside bare Docker calls.

Brings a cluster of its own up (root, Docker, the image of ``scripts/images.sh``), and takes it down. One pod after the other, image
present; the yardstick creates and starts the same two containers, sandbox and application, by plain API calls.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiodocker

from kubeling.api.meta import Object
from kubeling.api.resources import PODS
from kubeling.client.rest import Client

IMAGE = "kubeling/web:1"
COUNT = 20
NAME = "bench"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kubeling(*args: str, folder: Path) -> None:
    env = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
    subprocess.run([sys.executable, "-m", "kubeling.cli.main", *args], env=env, check=True)


def is_running(pod: Object) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("running" in (s.get("state") or {}) for s in statuses)


async def pod_seconds(client: Client, name: str) -> float:
    """Creates a pod and waits, by watch, until its container is said to run."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [{"name": "web", "image": IMAGE}],
            "terminationGracePeriodSeconds": 1,
        },
    }
    began = time.perf_counter()
    created = await client.create(PODS, pod)
    version = created["metadata"]["resourceVersion"]
    selector = f"metadata.name={name}"
    async for event in client.watch(PODS, "default", resource_version=version, field_selector=selector):
        if is_running(event.object):
            break
    seconds = time.perf_counter() - began
    await client.delete(PODS, name, "default", grace_period_seconds=0)
    return seconds


async def docker_seconds(engine: aiodocker.Docker, network: str, name: str) -> float:
    """A container on the pods' network, and one that joins it."""
    sandbox_config = {"Image": IMAGE, "Cmd": ["sleep", "3600"], "HostConfig": {"NetworkMode": network}}
    began = time.perf_counter()
    sandbox = await engine.containers.create(sandbox_config, name=f"bare-{name}")
    await sandbox.start()
    config = {"Image": IMAGE, "HostConfig": {"NetworkMode": f"container:{sandbox.id}"}}
    container = await engine.containers.create(config, name=f"bare-{name}-web")
    await container.start()
    seconds = time.perf_counter() - began
    for each in (container, sandbox):
        await each.delete(force=True)
    return seconds


async def measure(folder: Path) -> tuple[list[float], list[float]]:
    client = Client.from_kubeconfig(folder / "kubeconfig")
    pods: list[float] = []
    bare: list[float] = []
    async with aiodocker.Docker() as engine:
        for i in range(COUNT):
            pods.append(await pod_seconds(client, f"p{i}"))
            bare.append(await docker_seconds(engine, f"kubeling-{NAME}", str(i)))
    await client.aclose()
    return pods, bare


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            kubeling("up", "--name", NAME, "--port", str(free_port()), folder=folder)
            pods, bare = asyncio.run(measure(folder))
        finally:
            kubeling("down", "--name", NAME, folder=folder)
    ratio = statistics.median(pods) / statistics.median(bare)
    print(
        f"pod created to container running, median of {COUNT}: {statistics.median(pods):.3f} s (bar 0.8 s), worst {max(pods):.3f} s"
    )
    print(f"the same containers by bare Docker calls:           {statistics.median(bare):.3f} s (ratio {ratio:.1f})")


if __name__ == "__main__":
    main()
