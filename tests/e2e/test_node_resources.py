"""What a node has, and what becomes of pods that want more: groups of the kernel's hold them, eviction makes room."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import IMAGE, Cluster, eventually, start_cluster, stop_cluster

PODS_MEMORY = 256  # MiB that all pods of the node share; less than 100 of them left is memory pressure


def _reserved() -> int:
    """MiB of the machine's memory that are no pod's."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return int(total.split()[1]) // 1024 - PODS_MEMORY


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose node has little memory for pods, so that what others do on the machine makes no difference."""
    folder = tmp_path_factory.mktemp("small")
    settings = folder / "kubelet.json"
    settings.write_text(
        json.dumps(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "kubeReserved": {"memory": f"{_reserved()}Mi", "pid": "100"},
                "evictionPressureTransitionPeriod": "15s",
                "podPidsLimit": 40,
            }
        )
    )
    config = folder / "config.json"
    config.write_text(json.dumps({"extra_args": {"kubelet": [f"--config={settings}"]}}))
    started = start_cluster(f"small-{os.getpid()}", folder, "--config", str(config))
    yield started
    stop_cluster(started)


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> str:
    named = [{"name": f"c{i}", "image": IMAGE, **c} for i, c in enumerate(containers)]
    spec = {"terminationGracePeriodSeconds": 1, "restartPolicy": "Never", "containers": named, **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def shell(script: str, **more: Any) -> dict[str, Any]:
    return {"command": ["sh", "-c", script], **more}


def in_memory(mebibytes: int, file: str = "file") -> dict[str, Any]:
    mounts = [{"name": "memory", "mountPath": "/memory"}]
    return shell(f"dd if=/dev/zero of=/memory/{file} bs=1M count={mebibytes}; sleep 1000", volumeMounts=mounts)


MEMORY = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]


def limit(cluster: Cluster, group: str, file: str) -> str:
    """What a file of a control group says, empty where there is none."""
    controller, _, name = file.partition("/")
    found = Path("/sys/fs/cgroup", controller, "kubeling", cluster.name).glob(f"*/{group}/{name}")
    return "".join(path.read_text().strip() for path in found)


def resize(cluster: Cluster, name: str, **amounts: str) -> None:
    """Gives a pod other resources of its own, which are requests and limits alike."""
    patch = json.dumps({"spec": {"resources": {"requests": amounts, "limits": amounts}}})
    cluster.kubectl("patch", "pod", name, "--subresource=resize", "-p", patch)


def progress(cluster: Cluster, name: str) -> str:
    """What is said of a resize on its way."""
    conditions = cluster.get("pod", name)["status"]["conditions"]
    return next((str(c.get("message", "")) for c in conditions if c["type"] == "PodResizeInProgress"), "")


def condition(cluster: Cluster, type_: str) -> str:
    (node,) = cluster.get("nodes")["items"]
    return next(str(c["status"]) for c in node["status"]["conditions"] if c["type"] == type_)


def taints(cluster: Cluster) -> list[str]:
    (node,) = cluster.get("nodes")["items"]
    return [t["key"] for t in node["spec"].get("taints", ())]


def test_a_pod_is_held_to_what_it_may_use_in_all(small: Cluster) -> None:
    """Its limit bounds the sum of its containers, of which none has a limit; so do the most processes of a pod."""
    forks = "for i in $(seq 60); do sleep 1000 & done; wait"
    eaters = in_memory(30, "one"), in_memory(30, "two")
    given = pod("bounded", *eaters, resources={"limits": {"memory": "40Mi", "cpu": "200m"}}, volumes=MEMORY)
    small.kubectl("create", "-f", "-", stdin=given)
    small.kubectl("create", "-f", "-", stdin=pod("many", shell(forks)))
    group = f"kubepods/pod{small.get('pod', 'bounded')['metadata']['uid']}"  # Guaranteed: directly below
    eventually(lambda: limit(small, group, "memory/memory.limit_in_bytes") == str(40 << 20))
    assert limit(small, group, "cpu/cpu.cfs_quota_us") == "20000"
    eventually(lambda: "Killed" in small.kubectl("logs", "bounded", "--all-containers", check=False), 30)
    eventually(lambda: "can't fork" in small.kubectl("logs", "many", check=False), 30)

    resize(small, "bounded", cpu="400m", memory="40Mi")
    eventually(lambda: limit(small, group, "cpu/cpu.cfs_quota_us") == "40000", 20)
    wanted = {"cpu": "400m", "memory": "40Mi"}
    eventually(lambda: small.get("pod", "bounded")["status"]["resources"]["limits"] == wanted)
    events = ("get", "events", "--field-selector=involvedObject.name=bounded")
    eventually(lambda: "ResizeCompleted" in small.kubectl(*events), 20)
    resize(small, "bounded", cpu="400m", memory="10Mi")  # less than is used
    refusal = "attempting to set pod memory limit (10485760) below current usage ("
    eventually(lambda: refusal in progress(small, "bounded"), 20)
    assert limit(small, group, "memory/memory.limit_in_bytes") == str(40 << 20)
    small.kubectl("delete", "pod", "bounded", "many")
    assert limit(small, group, "memory/memory.limit_in_bytes") == ""


def test_a_pod_is_evicted_for_memory_and_the_node_recovers(small: Cluster) -> None:
    (node,) = small.get("nodes")["items"]
    assert node["status"]["allocatable"]["memory"].endswith(("Ki", "Mi"))
    small.kubectl("create", "-f", "-", stdin=pod("modest", in_memory(10), volumes=MEMORY))
    small.kubectl("wait", "--for=condition=Ready", "pod/modest", "--timeout=60s")
    small.kubectl("create", "-f", "-", stdin=pod("greedy", in_memory(170), volumes=MEMORY))
    evicted = eventually(lambda: (p := small.get("pod", "greedy"))["status"].get("reason") == "Evicted" and p, 60)
    assert evicted["status"]["phase"] == "Failed"
    message = evicted["status"]["message"]
    assert message.startswith("The node was low on resource: memory. Threshold quantity: 100Mi, available: ")
    assert "Container c0 was using " in message and ", request is 0, has larger consumption of memory. " in message
    target = next(c for c in evicted["status"]["conditions"] if c["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", message)
    eventually(lambda: condition(small, "MemoryPressure") == "True", 10)
    eventually(lambda: "node.kubernetes.io/memory-pressure" in taints(small), 20)

    described = small.kubectl("describe", "pod", "greedy")
    assert "Reason:           Evicted" in described and "Warning  Evicted" in described
    assert small.get("pod", "modest")["status"]["phase"] == "Running"

    eventually(lambda: condition(small, "MemoryPressure") == "False", 60)
    eventually(lambda: taints(small) == [], 20)
    small.kubectl("create", "-f", "-", stdin=pod("later", shell("sleep 1000")))
    small.kubectl("wait", "--for=condition=Ready", "pod/later", "--timeout=60s")
    assert small.get("pod", "modest")["status"]["containerStatuses"][0]["restartCount"] == 0
    small.kubectl("delete", "pod", "modest", "greedy", "later")
