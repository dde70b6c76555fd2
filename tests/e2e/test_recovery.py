"""Killing any component at any time: it comes back, everything converges, nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.support import IMAGE, IMAGE2, Cluster, eventually, run


def container_starts(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Container id to start time of the pods of a namespace."""
    ids = run("docker", "ps", "-q", "--filter", f"label=io.kubernetes.pod.namespace={namespace}").split()
    if not ids:
        return {}
    lines = run("docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", *ids).splitlines()
    return dict(line.split() for line in lines)


@pytest.mark.parametrize(
    "component", ["etcd", "apiserver", "controllers", "scheduler", "kubelet", "kubeproxy", "clusterdns"]
)
def test_kill_during_a_rolling_update(cluster, k, namespace, component):
    k("create", "deployment", "bystander", f"--image={IMAGE}", "--replicas=2")
    k("create", "deployment", "web", f"--image={IMAGE}", "--replicas=3")
    k("rollout", "status", "deployment/bystander", "--timeout=90s")
    k("rollout", "status", "deployment/web", "--timeout=90s")
    bystanders = {p["metadata"]["uid"]: _container_ids(p) for p in k.items("pods", "-l", "app=bystander")}

    k("set", "image", "deployment/web", f"web={IMAGE2}")
    k("create", "configmap", "acknowledged", "--from-literal=a=1")
    time.sleep(0.4)  # in the middle of the update
    before = cluster.components()[component]
    os.kill(before["pid"], signal.SIGKILL)

    def restarted() -> bool:
        now = cluster.components()[component]
        return now["running"] and now["pid"] != before["pid"]

    eventually(restarted, 30)
    eventually(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok", 60)
    k("rollout", "status", "deployment/web", "--timeout=120s")
    assert k("get", "configmap", "acknowledged", "-o", "jsonpath={.data.a}") == "1"
    eventually(lambda: {p["spec"]["containers"][0]["image"] for p in k.items("pods", "-l", "app=web")} == {IMAGE2}, 60)
    after = {p["metadata"]["uid"]: _container_ids(p) for p in k.items("pods", "-l", "app=bystander")}
    assert after == bystanders, "a container that had nothing to do with it was restarted"


def _container_ids(pod: dict) -> list[tuple[str, int]]:
    return [(c["containerID"], c["restartCount"]) for c in pod["status"]["containerStatuses"]]


def test_the_service_still_answers_while_components_are_away(cluster, k, namespace):
    k("create", "deployment", "web", f"--image={IMAGE}", "--replicas=2")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    k("expose", "deployment", "web", "--port=80", "--target-port=8080")
    address = k("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    eventually(lambda: "Hello" in run("curl", "-s", "--max-time", "2", f"http://{address}/", check=False), 20)
    for component in ("kubeproxy", "kubelet", "apiserver"):
        os.kill(cluster.components()[component]["pid"], signal.SIGKILL)
    assert "Hello" in run("curl", "-s", "--max-time", "5", f"http://{address}/")
    eventually(lambda: all(c["running"] for c in cluster.components().values()), 30)
    eventually(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok", 60)


def test_stop_and_start_keep_objects_and_containers(cluster, k, namespace):
    k("create", "deployment", "web", f"--image={IMAGE}")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    before = container_starts(cluster, namespace)
    cluster.kubeling("stop")
    assert container_starts(cluster, namespace) == before
    cluster.kubeling("start")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    assert container_starts(cluster, namespace) == before
