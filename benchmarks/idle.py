"""``python -m benchmarks.idle [--sets 2000]``: what the controller manager takes while nothing happens.

ReplicaSets of one pod each, settled; then the manager's processor time over a quiet while, and its resident memory. Fails
(status 1) beyond a bar.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import uvloop

from benchmarks.rollout import show
from benchmarks.stage import Stage, controllers, cpu_seconds, kubeconfig, resident_bytes, stage
from kubeling.api.meta import Object
from kubeling.api.resources import NAMESPACES, REPLICA_SETS
from kubeling.client.rest import Client

CPU_BAR, MEMORY_BAR = 0.03, 200e6
QUIET_SECONDS = 30.0
AT_ONCE = 20
SETTLE_SECONDS = 300.0


def replica_set(number: int) -> Object:
    labels = {"app": f"rs-{number}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": f"rs-{number}"}, "spec": spec}


async def settled(client: Client, sets: int) -> None:
    """Returns once every set says that it has its pod, and the last event has been written."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        items = await client.list_items(REPLICA_SETS, "idle")
        if sum((rs.get("status") or {}).get("replicas") == 1 for rs in items) == sets:
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"the sets have not settled within {SETTLE_SECONDS:.0f} s")
        await asyncio.sleep(1)
    await asyncio.sleep(10)


async def measure(made: Stage, pid: int, sets: int) -> bool:
    client = Client.from_kubeconfig(kubeconfig(made))
    await client.create(NAMESPACES, {"metadata": {"name": "idle"}})
    for first in range(0, sets, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, sets))
        await asyncio.gather(*(client.create(REPLICA_SETS, replica_set(n), "idle") for n in numbers))
    await settled(client, sets)
    before, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(QUIET_SECONDS)
    share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
    memory = resident_bytes(pid)
    await client.aclose()
    show(f"controller manager, {sets:,} idle ReplicaSets", f"{share:.1%} of a core", f"bar {CPU_BAR:.0%}")
    show("its resident memory", f"{memory / 1e6:,.0f} MB", f"bar {MEMORY_BAR / 1e6:,.0f} MB")
    return share <= CPU_BAR and memory <= MEMORY_BAR


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=2000)
    sets = parser.parse_args().sets
    with stage(pinned=False) as made, controllers(made) as pid:
        return 0 if uvloop.run(measure(made, pid, sets)) else 1


if __name__ == "__main__":
    sys.exit(main())
