"""Node status, admission, static pods, settings, the pause image."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest

from kubelet.node.admission import admit
from kubelet.node.machine import Machine
from kubelet.node.settings import node_settings, parse_taint
from kubelet.node.status import NodeSettings, Pressure, allocatable, differs, image_list, new_node, node_status
from kubelet.options import Options
from kubelet.pods.mirror import mirror_of
from kubelet.pods.requests import pod_requests
from kubelet.pods.static import ManifestError, static_pod
from kubelet.runtime.pause import pause_archive, pause_elf
from kubelet.runtime.records import ImageRecord
from kubeling.api.schema.schemas import schemas_for
from kubeling.client.errors import StartError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = Machine(
    cpus=4, memory=8 << 30, disk=100 << 30, disk_inodes=1000, architecture="amd64", machine_id="m", boot_id="b"
)
SETTINGS = NodeSettings("n1", "192.0.2.1", 10250)
NODE = new_node(SETTINGS, MACHINE)


def status(old: dict[str, Any] | None = None, now: datetime = NOW, **more: Any) -> dict[str, Any]:
    runtime = {"runtime": "docker://20.10", "kernel": "6.1", "os_image": "Debian"}
    return node_status(
        old or {}, SETTINGS, MACHINE, runtime, [], now=now, pressure=more.pop("pressure", Pressure()), **more
    )


def test_a_new_node() -> None:
    assert NODE["metadata"]["labels"] == {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": "n1",
        "kubernetes.io/os": "linux",
    }
    found = status()
    assert found["capacity"]["memory"] == found["allocatable"]["memory"] == "8Gi"
    assert [c["status"] for c in found["conditions"]] == ["False", "False", "False", "True"]
    assert found["nodeInfo"]["containerRuntimeVersion"] == "docker://20.10"


def test_what_is_reserved_or_kept_free_is_not_allocatable() -> None:
    given = Options(
        system_reserved={"cpu": "500m"},
        kube_reserved={"memory": "1Gi"},
        eviction_hard="memory.available<10%,nodefs.available<1Gi",
    )
    found = allocatable(MACHINE, node_settings(given, MACHINE, "192.0.2.1"))
    assert (found["cpu"], found["memory"], found["ephemeral-storage"]) == ("3500m", "6657199309", "99Gi")
    assert allocatable(MACHINE, node_settings(Options(), MACHINE, ""))["memory"] == "8092Mi"
    pages = dataclasses.replace(MACHINE, huge_pages={"2Mi": 1 << 30})
    found = allocatable(pages, NodeSettings("n1", "", 0))
    assert (found["hugepages-2Mi"], found["memory"]) == ("1Gi", "7Gi")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kube_reserved": {"gpu": "1"}}, 'cannot reserve "gpu" resource'),
        (
            {"kube_reserved": {"cpu": "5"}},
            r'Resource "cpu" has a reservation of 5 but capacity of 4\. Expected capacity >=',
        ),
        ({"eviction_hard": "memory.free<1"}, "unsupported eviction signal memory.free"),
    ],
)
def test_more_than_there_is_cannot_be_reserved(given: dict[str, Any], message: str) -> None:
    with pytest.raises(StartError, match=message):
        node_settings(Options(**given), MACHINE, "192.0.2.1")


def _stored(status: dict[str, Any]) -> dict[str, Any]:
    """The status as the API server keeps it."""
    kept: dict[str, Any] = schemas_for().of("", "v1", "Node").decode({**NODE, "status": status}).obj["status"]
    return kept


def test_heartbeats_alone_make_no_difference() -> None:
    first = status()
    later = status(first, NOW.replace(hour=1))
    assert not differs(first, later)
    assert later["conditions"][3]["lastTransitionTime"] == first["conditions"][3]["lastTransitionTime"]
    broken = status(first, NOW.replace(hour=1), not_ready="container runtime is down")
    assert differs(first, broken)
    assert not differs(_stored(first), later)
    assert broken["conditions"][3]["reason"] == "KubeletNotReady"
    assert broken["conditions"][3]["lastTransitionTime"] == "2026-01-01T01:00:00Z"


def test_images_are_listed_by_size() -> None:
    images = [
        ImageRecord("a", ("a:1",), (), 1),
        ImageRecord("b", ("b:1",), ("b@sha256:1",), 9),
        ImageRecord("c", (), (), 99),
    ]
    assert image_list(images) == [{"names": ["b@sha256:1", "b:1"], "sizeBytes": 9}, {"names": ["a:1"], "sizeBytes": 1}]


def pod(cpu: str = "", name: str = "p", **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "c", "image": "i"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    if ports := spec.pop("ports", None):
        container["ports"] = ports
    return {"metadata": {"name": name, "uid": name}, "spec": {"containers": [container], **spec}}


PORT = [{"containerPort": 80, "hostPort": 8080}]


@pytest.mark.parametrize(
    ("given", "others", "reason", "message"),
    [
        (pod("1"), [pod("3")], None, None),
        (
            pod("1500m"),
            [pod("3")],
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1500, used: 3000, capacity: 4000",
        ),
        (
            pod(),
            [pod(name=f"p{i}") for i in range(110)],
            "OutOfpods",
            "Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110",
        ),
        (
            pod(nodeSelector={"disk": "ssd"}),
            [],
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        (
            pod("9", nodeSelector={"disk": "ssd"}),
            [],
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 9000, used: 0, capacity: 4000",
        ),
        (pod(nodeSelector={"kubernetes.io/os": "linux"}), [], None, None),
        (
            pod(ports=PORT),
            [pod(ports=PORT)],
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
        ),
        (
            pod() | {"metadata": {"name": "p", "uid": "p", "labels": {"kubernetes.io/os": "windows"}}},
            [],
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        ),
        (
            pod(os={"name": "windows"}),
            [],
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
        ),
        (pod("9", priority=2000000000), [], None, None),
    ],
)
def test_admission(
    given: dict[str, Any], others: list[dict[str, Any]], reason: str | None, message: str | None
) -> None:
    assert admit(given, others, NODE, allocatable(MACHINE, SETTINGS)) == ((reason, message) if reason else None)


@pytest.mark.parametrize(
    ("tolerations", "refused"),
    [
        ([], True),
        ([{"key": "gone", "operator": "Exists"}], False),
        ([{"key": "gone", "value": "no"}], True),
        ([{"key": "gone", "value": "yes", "effect": "NoExecute"}], False),
        ([{"operator": "Exists", "effect": "NoSchedule"}], True),
    ],
)
def test_a_node_that_drives_pods_out_takes_none_in(tolerations: list[Any], refused: bool) -> None:
    taints = [{"key": "gone", "value": "yes", "effect": "NoExecute"}, {"key": "later", "effect": "NoSchedule"}]
    node = {**NODE, "spec": {"taints": taints}}
    found = admit(pod(tolerations=tolerations), [], node, allocatable(MACHINE, SETTINGS))
    expected = (
        "TaintToleration",
        "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
    )
    assert found == (expected if refused else None)


def test_resources_of_the_cluster_are_not_the_nodes() -> None:
    given = pod()
    given["spec"]["containers"][0]["resources"] = {"requests": {"example.com/licence": "1"}}
    assert admit(given, [], NODE, allocatable(MACHINE, SETTINGS)) is None
    known = {**allocatable(MACHINE, SETTINGS), "example.com/licence": "0"}
    refusal = admit(given, [], NODE, known)
    assert refusal is not None and refusal[0] == "OutOfexample.com/licence"


def test_requests_count_init_containers_and_sidecars() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": "x", "resources": {"requests": {"cpu": cpu}}, **more}

    given = {
        "spec": {
            "containers": [container("1")],
            "initContainers": [container("500m", restartPolicy="Always"), container("2")],
            "overhead": {"cpu": "100m"},
        }
    }
    assert str(pod_requests(given)["cpu"]) == "2600m"


MANIFEST = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: nginx}]}}"


def test_static_pods() -> None:
    found = static_pod(MANIFEST, "n1", "/etc/web.yaml")
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == ("web-n1", "default")
    assert found["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert found == static_pod(MANIFEST, "n1", "/etc/web.yaml")
    assert (
        found["metadata"]["uid"]
        != static_pod(MANIFEST.replace("nginx", "httpd"), "n1", "/etc/web.yaml")["metadata"]["uid"]
    )
    mirror = mirror_of(found, {"metadata": {"name": "n1", "uid": "node-uid"}})
    assert mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] == found["metadata"]["uid"]
    assert "uid" not in mirror["metadata"]
    for bad in ("{", "kind: Service", "{kind: Pod, spec: {}}"):
        with pytest.raises(ManifestError):
            static_pod(bad, "n1", "f")


def test_settings() -> None:
    assert parse_taint("a=b:NoSchedule") == {"key": "a", "value": "b", "effect": "NoSchedule"}
    assert parse_taint("a:NoExecute") == {"key": "a", "effect": "NoExecute"}
    with pytest.raises(StartError):
        parse_taint("a=b")
    found = node_settings(Options(hostname_override="N1", register_schedulable=False), MACHINE, "192.0.2.7")
    assert (found.name, found.ip, found.version, found.unschedulable) == ("n1", "192.0.2.7", "v1.36.0", True)


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 0x3E), ("arm64", 0xB7)])
def test_pause_image(architecture: str, machine: int) -> None:
    elf = pause_elf(architecture)
    assert elf[:4] == b"\x7fELF"
    assert int.from_bytes(elf[18:20], "little") == machine
    assert len(elf) < 256
    with tarfile.open(fileobj=io.BytesIO(pause_archive(architecture))) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]  # it is a file
        assert manifest[0]["RepoTags"] == ["kubeling/pause:1"]
    assert pause_archive(architecture) == pause_archive(architecture)


@pytest.mark.parametrize(
    ("spec", "resource"),
    [
        ({"serviceAccountName": "a"}, "serviceaccounts"),
        ({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}, "configmaps"),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]}, "secrets"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}, "persistentvolumeclaims"),
        ({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "c"}}]}]}, "configmaps"),
        ({"initContainers": [{"name": "i", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {}}}]}]}, "secrets"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "e", "emptyDir": {}}]}, ""),
    ],
)
def test_static_pods_refer_to_no_api_objects(spec: dict[str, Any], resource: str) -> None:
    pod = {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    text = json.dumps(pod)
    if not resource:
        assert static_pod(text, "n1", "f")["spec"]["volumes"]
        return
    with pytest.raises(ManifestError, match=f"static pods may not reference {resource}"):
        static_pod(text, "n1", "f")
