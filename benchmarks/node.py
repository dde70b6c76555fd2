"""``python -m benchmarks.node``: many pods at once on one node, their deletion, and the kubelet at rest, beside bare Docker calls.

Brings a cluster of its own up (root, Docker, the image of ``scripts/images.sh``), and takes it down. The yardstick makes the same
containers by plain API calls, at whichever concurrency is quickest. Bars: 1.5 times the bare calls both ways; a kubelet with 50
pods at rest below 2 % of one core and 120 MB.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiodocker
from aiodocker.containers import DockerContainer

from benchmarks.pod_start import IMAGE, free_port, kubeling
from benchmarks.stage import cpu_seconds, resident_bytes
from kubeling.api.meta import Object, has_condition, name_of
from kubeling.api.resources import PODS
from kubeling.client.rest import Client

NAME = "bench-node"
PODS_AT_ONCE, PODS_AT_REST = 60, 50
CONCURRENCIES = (4, 8, 16)
QUIET_SECONDS = 30.0


def pod(name: str) -> Object:
    spec = {"containers": [{"name": "web", "image": IMAGE}], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def until(client: Client, wanted: Callable[[list[Object]], bool]) -> None:
    while not wanted((await client.list(PODS, "default")).get("items") or []):  # noqa: ASYNC110  # another process's event
        await asyncio.sleep(0.1)


async def pods_seconds(client: Client, count: int) -> tuple[float, float]:
    """Until all are Ready; until, deleted, all are gone."""
    began = time.perf_counter()
    await asyncio.gather(*(client.create(PODS, pod(f"p{i}")) for i in range(count)))
    await until(client, lambda pods: sum(has_condition(p, "Ready") for p in pods) == count)
    ready = time.perf_counter() - began
    began = time.perf_counter()
    await asyncio.gather(*(client.delete(PODS, f"p{i}", "default") for i in range(count)))
    await until(client, lambda pods: not pods)
    return ready, time.perf_counter() - began


async def bare_seconds(engine: aiodocker.Docker, count: int, concurrency: int) -> tuple[float, float]:
    """The same containers made and started, then stopped and removed, so many at a time."""
    slots = asyncio.Semaphore(concurrency)
    made: list[tuple[DockerContainer, DockerContainer]] = []

    async def one() -> None:
        async with slots:
            sandbox_config = {"Image": "kubeling/pause:1", "HostConfig": {"NetworkMode": f"kubeling-{NAME}"}}
            sandbox = await engine.containers.create(sandbox_config)
            await sandbox.start()
            config = {"Image": IMAGE, "HostConfig": {"NetworkMode": f"container:{sandbox.id}"}}
            container = await engine.containers.create(config)
            await container.start()
            made.append((sandbox, container))

    async def end(sandbox: DockerContainer, container: DockerContainer) -> None:
        async with slots:
            await container.stop(t=1)
            await container.delete(force=True)
            await sandbox.delete(force=True)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    started = time.perf_counter() - began
    began = time.perf_counter()
    await asyncio.gather(*(end(*pair) for pair in made))
    return started, time.perf_counter() - began


async def at_rest(client: Client, pid: int) -> tuple[float, int]:
    """The share of one core that the kubelet takes with pods that nothing happens to, and its resident bytes."""
    await asyncio.gather(*(client.create(PODS, pod(f"r{i}")) for i in range(PODS_AT_REST)))
    await until(client, lambda pods: sum(has_condition(p, "Ready") for p in pods) == PODS_AT_REST)
    await asyncio.sleep(5)  # what the starts leave to do is no rest
    before, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(QUIET_SECONDS)
    share = (cpu_seconds(pid) - before) / (time.perf_counter() - began)
    for each in (await client.list(PODS, "default"))["items"]:
        await client.delete(PODS, name_of(each), "default", grace_period_seconds=0)
    return share, resident_bytes(pid)


def kubelet_pid(folder: Path) -> int:
    argv = [sys.executable, "-m", "kubeling.cli.main", "status", "--name", NAME, "-o", "json"]
    done = subprocess.run(argv, capture_output=True, check=True, env={**os.environ, "KUBECONFIG": str(folder / "k")})
    components = json.loads(done.stdout)[NAME]["components"]
    return next(int(c["pid"]) for c in components if c["name"].startswith("kubelet"))


async def measure(folder: Path, say: Callable[[str], None] = print) -> None:
    client = Client.from_kubeconfig(folder / "kubeconfig")
    rest: Awaitable[tuple[float, int]] = at_rest(client, kubelet_pid(folder))
    async with aiodocker.Docker() as engine:
        bare = [await bare_seconds(engine, PODS_AT_ONCE, c) for c in CONCURRENCIES]
        start, stop = await pods_seconds(client, PODS_AT_ONCE)
    best_start, best_stop = min(b[0] for b in bare), min(b[1] for b in bare)
    say(
        f"{PODS_AT_ONCE} pods at once, all Ready: {start:.1f} s, bare {best_start:.1f} s ({start / best_start:.2f}, bar 1.5)"
    )
    say(f"their deletion: {stop:.1f} s, bare {best_stop:.1f} s ({stop / best_stop:.2f}, bar 1.5)")
    share, size = await rest
    say(f"kubelet at rest with {PODS_AT_REST} pods: {share:.1%} of a core (bar 2 %), {size / 1e6:.0f} MB (bar 120 MB)")
    await client.aclose()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            kubeling("up", "--name", NAME, "--port", str(free_port()), folder=folder)
            asyncio.run(measure(folder))
        finally:
            kubeling("down", "--name", NAME, folder=folder)


if __name__ == "__main__":
    main()
