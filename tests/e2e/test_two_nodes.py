"""Two kubelets on one engine: neither touches the other's containers, and static pods outlive kubelet and API server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import IMAGE, Cluster, eventually, run, start_cluster, stop_cluster

STATIC = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "static", "labels": {"app": "static"}},
    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": IMAGE}]},
}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture(scope="module")
def pair(manifests: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two nodes, each of which runs the static pods of the same folder."""
    folder = tmp_path_factory.mktemp("pair")
    config = folder / "config.json"
    config.write_text(json.dumps({"nodes": 2, "extra_args": {"kubelet": [f"--pod-manifest-path={manifests}"]}}))
    started = start_cluster(f"pair-{os.getpid()}", folder, "--config", str(config))
    yield started
    stop_cluster(started)


def containers(cluster: Cluster) -> dict[str, str]:
    """Id to start time of everything that runs."""
    ids = run("docker", "ps", "-q", "--no-trunc", "--filter", f"label=kubeling.cluster={cluster.name}").split()
    lines = run("docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", *ids).splitlines() if ids else []
    return dict(line.split() for line in lines)


def ready(cluster: Cluster, selector: str) -> dict[str, str]:
    """Name to uid of the pods that are ready."""
    pods = cluster.get("pods", "-l", selector)["items"]
    return {
        p["metadata"]["name"]: p["metadata"]["uid"]
        for p in pods
        if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ()))
    }


def kill(cluster: Cluster, component: str) -> None:
    """Kills a component and waits until its successor runs."""
    before = cluster.components()[component]["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: cluster.components()[component]["running"] and cluster.components()[component]["pid"] != before)
    eventually(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok")


def test_static_pods_and_neighbours(pair: Cluster, manifests: Path) -> None:
    (manifests / "static.json").write_text(json.dumps(STATIC))
    names = {f"static-{pair.name}-{i}" for i in (1, 2)}
    mirrors = eventually(lambda: (found := ready(pair, "app=static")).keys() == names and found, 90)
    pair.kubectl("create", "deployment", "web", f"--image={IMAGE}", "--replicas=4")
    pair.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    nodes = {p["spec"]["nodeName"] for p in pair.get("pods", "-l", "app=web")["items"]}
    assert nodes == {f"{pair.name}-1", f"{pair.name}-2"}
    running = containers(pair)

    kill(pair, f"kubelet-{pair.name}-1")
    kill(pair, "apiserver")
    eventually(lambda: pair.kubectl("get", "nodes", "--no-headers", check=False).count(" Ready ") == 2, 90)
    assert ready(pair, "app=static") == mirrors
    assert containers(pair) == running, "containers were touched"

    first = f"static-{pair.name}-1"
    pair.kubectl("delete", "pod", first, "--wait=false")
    eventually(lambda: ready(pair, "app=static").get(first, mirrors[first]) != mirrors[first], 60)
    assert containers(pair) == running, "the mirror is only a mirror"

    (manifests / "static.json").unlink()
    eventually(lambda: pair.get("pods", "-l", "app=static")["items"] == [], 60)
    eventually(lambda: len(containers(pair)) == len(running) - 4, 30)
    assert containers(pair).items() <= running.items()
