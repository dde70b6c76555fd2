"""What pod manifests ask of the kubelet, through a whole cluster with real kubectl."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.e2e.support import IMAGE, Cluster, Kubectl, eventually, run


def pod(name: str, *, container: dict[str, Any] | None = None, **spec: Any) -> str:
    made = {"name": "c", "image": IMAGE, **(container or {})}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [made], **spec}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
    )


def status(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("pod", name, "-n", namespace)["status"]
    return found


def wait_for(cluster: Cluster, namespace: str, name: str, check: Any) -> dict[str, Any]:
    def look() -> Any:
        found = status(cluster, namespace, name)
        return found if check(found) else None

    result: dict[str, Any] = eventually(look, 30)
    return result


def first(found: dict[str, Any]) -> dict[str, Any]:
    """State of the first container."""
    entry: dict[str, Any] = (found.get("containerStatuses") or [{}])[0]
    return entry


MISSING = {"configMapKeyRef": {"name": "gone", "key": "k"}}
NON_ROOT = {"securityContext": {"runAsNonRoot": True}}
CONFIG_ERROR = "CreateContainerConfigError"


@pytest.mark.parametrize(
    ("container", "spec", "reason", "message"),
    [
        ({"image": "nope:1", "imagePullPolicy": "Never"}, {}, "ErrImageNeverPull", "is not present with pull policy"),
        ({"image": "127.0.0.1:1/nope:1"}, {}, "ImagePullBackOff", 'Back-off pulling image "127.0.0.1:1/nope:1"'),
        ({"env": [{"name": "X", "valueFrom": MISSING}]}, {}, CONFIG_ERROR, 'configmap "gone" not found'),
        ({}, NON_ROOT, CONFIG_ERROR, "container has runAsNonRoot and image will run as root"),
        ({"command": ["/bin/false"]}, {}, "CrashLoopBackOff", "restarting failed container=c"),
        ({"command": ["/nope"]}, {}, "CrashLoopBackOff", "restarting failed container=c"),
    ],
    ids=["never", "pull", "config", "root", "crash", "command"],
)
def test_waiting_reasons(
    cluster: Cluster, namespace: str, container: Any, spec: Any, reason: str, message: str
) -> None:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod("p", container=container, **spec))
    found = wait_for(
        cluster, namespace, "p", lambda s: (first(s).get("state") or {}).get("waiting", {}).get("reason") == reason
    )
    assert message in first(found)["state"]["waiting"]["message"]


@pytest.mark.parametrize(
    ("script", "limits", "phase", "reason", "code"),
    [
        ("echo done > /dev/termination-log", {}, "Succeeded", "Completed", 0),
        ("echo done > /dev/termination-log; exit 7", {}, "Failed", "Error", 7),
        ("echo done > /dev/termination-log; tail /dev/zero", {"memory": "20Mi"}, "Failed", "OOMKilled", 137),
    ],
)
def test_how_pods_end(
    cluster: Cluster, namespace: str, script: str, limits: Any, phase: str, reason: str, code: int
) -> None:
    container = {"command": ["/bin/sh", "-c", script], "resources": {"limits": limits}}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod("p", container=container, restartPolicy="Never"))
    found = wait_for(cluster, namespace, "p", lambda s: s.get("phase") == phase)
    ended = first(found)["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"], ended["message"]) == (reason, code, "done\n")


def test_volumes_follow_their_objects(cluster: Cluster, namespace: str, k: Kubectl) -> None:
    cluster.kubectl("-n", namespace, "create", "configmap", "cfg", "--from-literal=a=one")
    source = {"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "cfg"}}]}
    container = {"volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "late", "mountPath": "/late"}]}
    volumes = [{"name": "v", "projected": source}, {"name": "late", "secret": {"secretName": "late"}}]
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod("p", container=container, volumes=volumes))

    def told() -> bool:
        events = cluster.get("events", "-n", namespace)["items"]
        text = 'MountVolume.SetUp failed for volume "late" : secret "late" not found'
        return any(e["reason"] == "FailedMount" and e["message"] == text for e in events)

    assert eventually(told, 20)
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "late", "--from-literal=k=here")
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    shown = cluster.kubectl("-n", namespace, "exec", "p", "--", "sh", "-c", "cat /v/a /late/k; head -c 2 /v/token")
    assert shown == "onehereey"
    cluster.kubectl("-n", namespace, "patch", "configmap", "cfg", "-p", '{"data":{"a":"two"}}')
    assert eventually(lambda: cluster.kubectl("-n", namespace, "exec", "p", "--", "cat", "/v/a") == "two", 20)


def test_restarted_containers_after_failed_liveness(cluster: Cluster, namespace: str) -> None:
    probe = {"httpGet": {"path": "/nope", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod("p", container={"livenessProbe": probe}))
    wait_for(cluster, namespace, "p", lambda s: first(s).get("restartCount", 0) >= 1)
    uid = cluster.get("pod", "p", "-n", namespace)["metadata"]["uid"]

    def linked() -> bool:
        """The logs of both runs are where collectors look for them."""
        found = first(status(cluster, namespace, "p"))
        before = f"/var/log/pods/{namespace}_p_{uid}/c/{found['restartCount'] - 1}.log"
        now = f"/var/log/containers/p_{namespace}_c-{found['containerID'].removeprefix('docker://')}.log"
        assert "listens on port 8080" in run("cat", before) and "listens on port 8080" in run("cat", now)
        return run("readlink", now) == f"/var/log/pods/{namespace}_p_{uid}/c/{found['restartCount']}.log\n"

    eventually(linked)

    def told() -> bool:
        events = {(e["reason"], e["message"]) for e in cluster.get("events", "-n", namespace)["items"]}
        assert ("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404") in events
        assert ("Killing", "Container c failed liveness probe, will be restarted") in events
        return True

    eventually(told)


def test_deadline_and_grace(cluster: Cluster, namespace: str) -> None:
    container = {"command": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]}
    manifest = pod("p", container=container, activeDeadlineSeconds=2, terminationGracePeriodSeconds=2)
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    found = wait_for(cluster, namespace, "p", lambda s: s.get("phase") == "Failed")
    assert (found["reason"], found["message"]) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )
    assert first(found)["state"]["terminated"]["exitCode"] == 137
    started = time.monotonic()
    cluster.kubectl("-n", namespace, "delete", "pod", "p")
    assert time.monotonic() - started < 5


def test_resize_in_place(cluster: Cluster, namespace: str) -> None:
    resources = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=pod("p", container={"resources": resources}))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    patch = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "200m"}}}]}}
    cluster.kubectl("-n", namespace, "patch", "pod", "p", "--subresource=resize", "-p", json.dumps(patch))
    found = wait_for(cluster, namespace, "p", lambda s: first(s)["resources"]["limits"]["cpu"] == "200m")
    assert first(found)["restartCount"] == 0


def mounting(volume: dict[str, Any]) -> dict[str, Any]:
    """A pod's spec whose container mounts the volume: one that nobody mounts is not waited for."""
    mount = {"name": volume["name"], "mountPath": "/v"}
    container = {"name": "c", "image": IMAGE, "command": ["sleep", "1000"], "volumeMounts": [mount]}
    return {"containers": [container], "volumes": [volume]}


def test_what_a_node_cannot_give_is_refused(cluster: Cluster, namespace: str) -> None:
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "gone"}}
    csi = {"name": "v", "csi": {"driver": "disk.example.com"}}
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    pods: dict[str, tuple[dict[str, Any], str, str]] = {
        "sysctl": (
            {"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}},
            "SysctlForbidden",
            'forbidden sysctl: "net.core.somaxconn" not allowlisted',
        ),
        "users": ({"hostUsers": False}, "FailedCreatePodSandBox", "runtime does not support user namespaces"),
        "csi": (mounting(csi), "FailedMount", "not found in the list of registered CSI drivers"),
        "claim": (mounting(claim) | {"nodeName": node}, "FailedMount", "failed to fetch PVC from API server"),
    }
    manifests = "\n".join(pod(name, **spec) for name, (spec, _, _) in pods.items())
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifests)

    def missing() -> Any:
        events = cluster.get("events", "-n", namespace)["items"]
        told = {(e["involvedObject"]["name"], e["reason"]): e["message"] for e in events}
        return all(text in told.get((name, reason), "") for name, (_, reason, text) in pods.items())

    eventually(missing, 60)
    refused = status(cluster, namespace, "sysctl")
    assert refused["phase"] == "Failed" and "containerStatuses" not in refused


def test_all_containers_run_anew_and_a_variable_from_a_file(cluster: Cluster, namespace: str) -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    script = 'test "$A" = "x y" || exit 1; test -e /e/again && exec sleep 1000; touch /e/again; exit 42'
    mounts = [{"name": "e", "mountPath": "/e"}]
    first_one = {
        "name": "i",
        "image": IMAGE,
        "command": ["/bin/sh", "-c", "echo \"A='x y'\" > /e/f"],
        "volumeMounts": mounts,
    }
    variable = {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "e", "path": "f", "key": "A"}}}
    made = {"command": ["/bin/sh", "-c", script], "volumeMounts": mounts, "env": [variable], "restartPolicy": "Never"}
    manifest = pod(
        "again",
        container={**made, "restartPolicyRules": [rule]},
        initContainers=[first_one],
        volumes=[{"name": "e", "emptyDir": {}}],
        restartPolicy="Never",
    )
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    found = wait_for(cluster, namespace, "again", lambda s: first(s).get("ready") and first(s)["restartCount"] == 1)
    assert found["initContainerStatuses"][0]["restartCount"] == 1
    cluster.kubectl("-n", namespace, "delete", "pod", "again", "--timeout=60s")
