"""The Docker engine restarted, the API server away, the machine rebooted: each on an engine of the tests' own.

``KUBELING_API_AWAY_SECONDS`` sets how long the API server is away (600 for what a machine room would call an outage).
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.engine import Engine, own_engine
from tests.e2e.support import (
    IMAGE,
    Cluster,
    Kubectl,
    api_away,
    assert_no_leaks,
    eventually,
    run,
    start_cluster,
    stop_cluster,
)

AWAY_SECONDS = float(os.environ.get("KUBELING_API_AWAY_SECONDS", "12"))
SLEEP = ["/bin/sleep", "10000"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with own_engine(f"kle{os.getpid()}", tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("engine-cluster")
    started = start_cluster(f"eng-{os.getpid()}", folder, prefix=engine.prefix, env=engine.env)
    yield started
    stop_cluster(started)


@pytest.fixture
def k(cluster: Cluster) -> Iterator[Kubectl]:
    """kubectl in a namespace that goes with the test."""
    name = f"t{time.monotonic_ns()}"
    cluster.kubectl("create", "namespace", name)
    eventually(lambda: cluster.kubectl("-n", name, "get", "serviceaccount", "default", check=False))
    yield Kubectl(cluster, name)
    cluster.kubectl("delete", "namespace", name, "--timeout=90s")


def put(k: Kubectl, name: str, command: list[str], **spec: Any) -> None:
    container = {"name": "c", "image": IMAGE, "command": command, **spec.pop("container", {})}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }
    k("apply", "-f", "-", stdin=json.dumps(pod))


def phase(k: Kubectl, name: str) -> str:
    return k("get", "pod", name, "-o", "jsonpath={.status.phase}")


def only_status(k: Kubectl, name: str) -> Any:
    return k.cluster.get("pod", name, "-n", k.namespace)["status"]["containerStatuses"][0]


def ready(k: Kubectl, *names: str) -> None:
    k("wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/{n}" for n in names))


def until_restarted(k: Kubectl, name: str, count: int) -> Any:
    """The container's status once it runs as its n-th restart."""

    def look() -> Any:
        status = only_status(k, name)
        return status if status["restartCount"] == count and "running" in status["state"] and status["ready"] else None

    return eventually(look, 60)


def test_a_runtime_class_chooses_among_the_engines_runtimes(engine, cluster, k):
    handlers = {h.get("name", "") for h in cluster.get("node", f"{cluster.name}-1")["status"]["runtimeHandlers"]}
    assert {"", "other", "runc"} <= handlers
    name = f"class-{k.namespace}"
    runtime_class = {
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "other",
    }  # fmt: skip
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(runtime_class))
    try:
        put(k, "classy", SLEEP, runtimeClassName=name)
        ready(k, "classy")
        label = f"label=io.kubernetes.pod.namespace={k.namespace}"
        ids = run("docker", "ps", "-q", "--filter", label, env={**os.environ, **engine.env}).split()
        asked = ("docker", "inspect", "-f", "{{.HostConfig.Runtime}}", *ids)
        assert run(*asked, env={**os.environ, **engine.env}).split() == ["other", "other"]
    finally:
        cluster.kubectl("delete", "runtimeclass", name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_pods_return_as_their_restart_policy_says_when_the_engine_restarts(engine, cluster, k, number):
    volume = {"name": "m", "emptyDir": {"medium": "Memory"}}
    mounted = {"volumeMounts": [{"name": "m", "mountPath": "/m"}]}
    put(k, "always", SLEEP, container=mounted, volumes=[volume])
    put(k, "on-failure", SLEEP, restartPolicy="OnFailure")
    put(k, "never", SLEEP, restartPolicy="Never")
    put(k, "done", ["/bin/true"], restartPolicy="OnFailure")
    init = {"name": "i", "image": IMAGE, "command": ["/bin/true"]}
    put(k, "init", SLEEP, initContainers=[init])
    ready(k, "always", "on-failure", "never", "init")
    eventually(lambda: phase(k, "done") == "Succeeded")
    before = {name: only_status(k, name)["containerID"] for name in ("always", "on-failure", "init")}

    engine.restart(number)

    for name, old in before.items():
        status = until_restarted(k, name, 1)
        ended = status["lastState"]["terminated"]
        assert ended["containerID"] == old != status["containerID"]
        assert (ended["exitCode"], ended["reason"]) == (137, "Error")
        assert ended["startedAt"] <= ended["finishedAt"] <= status["state"]["running"]["startedAt"]
    eventually(lambda: phase(k, "never") == "Failed", 60)
    assert only_status(k, "never")["restartCount"] == 0
    assert only_status(k, "never")["state"]["terminated"]["exitCode"] == 137
    assert (phase(k, "done"), only_status(k, "done")["restartCount"]) == ("Succeeded", 0)
    warnings = k("get", "events", "--field-selector=type=Warning", "-o", "jsonpath={.items[*].message}")
    assert "docker.sock" not in warnings, "the engine's absence was told as the fault of pods"


def test_pods_go_on_without_the_api_server(cluster, k):
    """Probes and restarts go on, nothing that is well restarts, and the status catches up."""
    put(k, "well", SLEEP)
    lived = {
        "livenessProbe": {
            "exec": {"command": ["/bin/test", "!", "-e", "/ill"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
            "timeoutSeconds": 30,
        }
    }
    put(k, "ill", SLEEP, container=lived)
    put(k, "crash", ["/bin/sh", "-c", "sleep 2; exit 3"])
    ready(k, "well", "ill")
    well = only_status(k, "well")
    with api_away(cluster):
        ends = time.monotonic() + AWAY_SECONDS
        old = only_container(cluster, k, "ill")
        cluster.run("docker", "exec", old, "touch", "/ill")
        eventually(lambda: only_container(cluster, k, "ill") not in ("", old), 60)
        time.sleep(max(0.0, ends - time.monotonic()))  # the absence itself is what is tried
    status = until_restarted(k, "ill", 1)
    assert status["lastState"]["terminated"]["containerID"] == f"docker://{old}"
    assert only_status(k, "well") == well

    def caught_up() -> bool:
        attempts = cluster.run(
            "docker", "ps", "-a", *of_pod(k, "crash"), "--format", '{{.Label "kubeling.attempt"}}'
        ).split()
        return only_status(k, "crash")["restartCount"] == max(int(a) for a in attempts) > 0

    eventually(caught_up, 60)
    eventually(
        lambda: "True" in cluster.kubectl("get", "nodes", "-o", "jsonpath={..conditions[?(@.type=='Ready')].status}")
    )


def of_pod(k: Kubectl, name: str, container: str = "c") -> list[str]:
    labels = {"pod.namespace": k.namespace, "pod.name": name, "container.name": container}
    return [word for key, value in labels.items() for word in ("--filter", f"label=io.kubernetes.{key}={value}")]


def only_container(cluster: Cluster, k: Kubectl, name: str) -> str:
    """The id of the pod's running container, empty while none runs."""
    return cluster.run("docker", "ps", "-q", "--no-trunc", *of_pod(k, name)).strip()


def test_everything_comes_back_after_a_reboot(engine, cluster, k):
    k("create", "configmap", "page", "--from-literal=index.html=kept")
    k("create", "secret", "generic", "key", "--from-literal=key=secret")
    mounts = [{"name": n, "mountPath": f"/{n}"} for n in ("m", "s", "d")]
    volumes = [
        {"name": "m", "emptyDir": {"medium": "Memory"}},
        {"name": "s", "secret": {"secretName": "key"}},
        {"name": "d", "emptyDir": {}},
    ]
    put(k, "volumes", SLEEP, container={"volumeMounts": mounts}, volumes=volumes, securityContext={"fsGroup": 2000})
    put(k, "never", SLEEP, restartPolicy="Never")
    k("create", "deployment", "web", f"--image={IMAGE}", "--replicas=2")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    k("expose", "deployment", "web", "--port=80", "--target-port=8080")
    ready(k, "volumes", "never")
    k("exec", "volumes", "--", "/bin/sh", "-c", "echo disk > /d/f; echo memory > /m/f")
    address = k("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    uids = {p["metadata"]["uid"] for p in k.items("pods")}

    engine.power_off(f"/var/lib/kubeling/{cluster.name}")
    engine.start()
    cluster.kubeling("start")

    until_restarted(k, "volumes", 1)
    shown = k(
        "exec",
        "volumes",
        "--",
        "/bin/sh",
        "-c",
        "cat /d/f /s/key; echo; ls /m; stat -c %g /m; mount | grep -c ' /m type tmpfs'",
    )
    assert shown.split() == ["disk", "secret", "2000", "1"], "the disk's files stay, memory is empty and set up anew"
    eventually(lambda: phase(k, "never") == "Failed", 60)
    k("rollout", "status", "deployment/web", "--timeout=60s")
    assert {p["metadata"]["uid"] for p in k.items("pods")} == uids
    eventually(lambda: "Hello" in cluster.run("curl", "-s", "--max-time", "2", f"http://{address}/", check=False), 60)
    assert_no_leaks(cluster)
