"""Scheduling throughput: decisions a second on a simulated cluster, without an API server.

    python benchmarks/scheduling.py [--nodes 1000] [--pods 2000]

Each pod is decided by the default profile and assumed, as the running scheduler does it; the snapshot is the cache itself, updated
pod by pod. The workloads: plain pods of a Deployment behind a Service (so that the default spreading works), pods with a hard zone
spread, and pods with anti-affinity among themselves.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from typing import Any

from scheduler.cache import Cache
from scheduler.framework.profile import Profile
from scheduler.framework.schedule import schedule
from scheduler.model.pod import PodInfo
from scheduler.model.snapshot import NoListers
from scheduler.plugins import DEFAULT_PROFILE

ZONES = 5


class World(NoListers):
    """A Service for every workload."""

    def __init__(self, names: list[str]) -> None:
        self._services = [
            {"metadata": {"name": n, "namespace": "default"}, "spec": {"selector": {"app": n}}} for n in names
        ]

    def list(self, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return self._services if kind == "Service" else []


def node(index: int) -> dict[str, Any]:
    name = f"node-{index}"
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{index % ZONES}"}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}},
    }


def pod(app: str, index: int, spec: dict[str, Any]) -> PodInfo:
    name = f"{app}-{index}"
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": {"app": app}}
    return PodInfo({"metadata": metadata, "spec": {"containers": [container], **spec}})


def workloads() -> dict[str, dict[str, Any]]:
    selector = {"matchLabels": {"app": "spread"}}
    constraint = {
        "topologyKey": "topology.kubernetes.io/zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector,
    }
    apart = {"labelSelector": {"matchLabels": {"app": "apart"}}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "plain": {},
        "spread": {"topologySpreadConstraints": [constraint]},
        "apart": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}},
    }


def measure(app: str, spec: dict[str, Any], nodes: int, pods: int) -> dict[str, Any]:
    """Decisions a second and the slowest hundredth, for one workload on an empty cluster."""
    rng = random.Random(1)
    cache = Cache(World([app]), rng)
    for i in range(nodes):
        cache.set_node(node(i))
    profile = Profile.of(DEFAULT_PROFILE)
    start, placed, latencies = 0, 0, []
    for i in range(pods):
        began = time.perf_counter()
        info = pod(app, i, spec)
        decision = schedule(info, cache, profile, rng, start)
        start = decision.next_start
        if decision.node:
            cache.assume(info, decision.node)
            placed += 1
        latencies.append(time.perf_counter() - began)
    latencies.sort()
    return {
        "workload": app,
        "nodes": nodes,
        "pods": pods,
        "placed": placed,
        "pods_per_second": round(pods / sum(latencies)),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=2000)
    options = parser.parse_args()
    for app, spec in workloads().items():
        print(
            json.dumps(
                measure(app, spec, options.nodes, min(options.pods, options.nodes) if app == "apart" else options.pods)
            )
        )


if __name__ == "__main__":
    main()
