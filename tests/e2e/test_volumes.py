"""What pods mount, and what must not be reached through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import IMAGE, IMAGE2, Cluster, Kubectl, eventually, run


def apply(k: Kubectl, name: str, volumes: list[Any], mounts: list[Any], *, container: Any = None, **spec: Any) -> None:
    made = {"name": "c", "image": IMAGE, "command": ["sleep", "1000"], "volumeMounts": mounts, **(container or {})}
    body = {"terminationGracePeriodSeconds": 0, **spec, "containers": [made], "volumes": volumes}
    k(
        "apply",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}),
    )


def ready(k: Kubectl, *names: str) -> None:
    k("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), "--timeout=60s")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder of the machine whose mounts spread, as all do where systemd runs."""
    folder = tmp_path / "shared"
    folder.mkdir()
    run("mount", "--bind", str(folder), str(folder))
    run("mount", "--make-shared", str(folder))
    yield folder
    run("umount", "-R", "-l", str(folder))


def test_mounts_spread_as_far_as_they_are_asked_to(k: Kubectl, shared: Path) -> None:
    volume = {"name": "v", "hostPath": {"path": str(shared)}}
    for name, mode in (("host", "HostToContainer"), ("none", "None")):
        apply(k, name, [volume], [{"name": "v", "mountPath": "/v", "mountPropagation": mode}])
    ready(k, "host", "none")
    (shared / "later").mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(shared / "later"))
    (shared / "later/file").touch()
    assert [k("exec", name, "--", "ls", "/v/later") for name in ("host", "none")] == ["file\n", ""]
    # the other direction is for privileged containers alone, which not every machine can start: the engine was asked for it
    both = {"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}
    apply(k, "both", [volume], [both], container={"securityContext": {"privileged": True}})
    mine = (
        "--filter",
        f"label=io.kubernetes.pod.namespace={k.namespace}",
        "--filter",
        "label=io.kubernetes.pod.name=both",
    )
    find = ("docker", "ps", "-aq", *mine, "--filter", "label=io.kubernetes.container.name=c")
    shown = ("--format", '{{range .Mounts}}{{if eq .Destination "/v"}}{{.Propagation}}{{end}}{{end}}')
    eventually(lambda: run("docker", "inspect", *shown, *run(*find).split()[:1]).strip() == "rshared")
    k("delete", "pod", "both", "host", "none", "--now")
    assert (shared / "later/file").exists()  # the machine's own mount is nothing of the pods'


def test_read_only_all_the_way_down(k: Kubectl, shared: Path) -> None:
    (shared / "inner").mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(shared / "inner"))
    mounts = [
        {"name": "v", "mountPath": "/deep", "readOnly": True, "recursiveReadOnly": "Enabled"},
        {"name": "v", "mountPath": "/flat", "readOnly": True},
    ]
    apply(k, "p", [{"name": "v", "hostPath": {"path": str(shared)}}], mounts)
    ready(k, "p")
    script = "for d in /deep /deep/inner /flat /flat/inner; do touch $d/x 2>/dev/null && echo $d; done; true"
    assert k("exec", "p", "--", "sh", "-c", script).split() == ["/flat/inner"]
    status = k("get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].volumeMounts[*].recursiveReadOnly}")
    assert status.split()[:2] == ["Enabled", "Disabled"]


def test_sub_paths_lead_nowhere_else(k: Kubectl, tmp_path: Path) -> None:
    volume = {"name": "v", "emptyDir": {}}
    whole = {"name": "v", "mountPath": "/v"}
    init = {
        "name": "evil",
        "image": IMAGE,
        "command": ["sh", "-c", "ln -s /etc /v/out && mkdir /v/real && echo kept > /v/real/file && ln -s real /v/in"],
        "volumeMounts": [whole],
    }
    apply(k, "out", [volume], [{**whole, "subPath": "out"}], initContainers=[init])
    k.told("out", 'failed to prepare subPath for volumeMount "v" of container "c"')
    expression = {"name": "v", "mountPath": "/made", "subPathExpr": "of/$(NAME)"}
    env = {"env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}
    within = [whole, {"name": "v", "mountPath": "/in", "subPath": "in"}, expression]
    apply(k, "in", [volume], within, container=env, initContainers=[init])
    ready(k, "in")
    swap = "cat /in/file && rm /v/in && ln -s /etc /v/in && cat /in/file && touch /made/x && ls /v/of/in"
    assert k("exec", "in", "--", "sh", "-c", swap).split() == ["kept", "kept", "x"]


def test_image_volumes(k: Kubectl) -> None:
    volume = {"name": "v", "image": {"reference": IMAGE2, "pullPolicy": "Never"}}
    absent = {"name": "v", "image": {"reference": "kubeling/absent:1", "pullPolicy": "Never"}}
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/part", "subPath": "etc"}]
    apply(k, "p", [volume], mounts)
    apply(k, "absent", [absent], mounts[:1])
    apply(k, "missing", [volume], [{**mounts[0], "subPath": "no/such"}])
    ready(k, "p")
    script = (
        "/v/bin/busybox true; echo $?; touch /v/x /part/x 2>&1 | grep -c Read-only; ls /v | grep -c dockerenv; true"
    )
    assert k("exec", "p", "--", "sh", "-c", script).split() == ["126", "2", "0"]
    where = "jsonpath={.status.containerStatuses[0].volumeMounts[0].volumeStatus.image.imageRef}"
    image = run("docker", "inspect", "--format", "{{.Id}}", IMAGE2).strip()
    assert image in k("get", "pod", "p", "-o", where) or "@sha256:" in k("get", "pod", "p", "-o", where)
    waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    eventually(lambda: k("get", "pod", "absent", "-o", waiting) == "ErrImageNeverPull")
    never = 'Container image "kubeling/absent:1" is not present with pull policy of Never'
    k.told("absent", never)
    k.told("missing", 'failed to prepare subPath for volumeMount "v" of container "c"')


def test_an_ephemeral_volume_comes_and_goes_with_its_pod(k: Kubectl) -> None:
    template = {"spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Mi"}}}}
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": template}}
    apply(k, "p", [volume], [{"name": "v", "mountPath": "/v"}])
    ready(k, "p")
    k("exec", "p", "--", "touch", "/v/file")
    assert "Bound" in k("get", "pvc", "p-v")
    k("delete", "pod", "p")
    eventually(lambda: "NotFound" in k.fails("get", "pvc", "p-v"))


def disk(k: Kubectl, name: str, device: str, **more: Any) -> dict[str, Any]:
    """A volume of a pod on a device of the machine."""
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", **more}
    node = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    volume = {
        **spec,
        "capacity": {"storage": "1Mi"},
        "claimRef": {"name": name, "namespace": k.namespace},
        "local": {"path": device},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    claim = {**spec, "volumeName": f"{k.namespace}-{name}", "resources": {"requests": {"storage": "1Mi"}}}
    del claim["mountOptions"]
    for kind, of, body in (
        ("PersistentVolume", f"{k.namespace}-{name}", volume),
        ("PersistentVolumeClaim", name, claim),
    ):
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": of}, "spec": body}
        k("apply", "-f", "-", stdin=json.dumps(manifest))
    return {"name": "v", "persistentVolumeClaim": {"claimName": name}}


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "disk").write_bytes(b"on the disk".ljust(8 << 20, b"\0"))
    made = run("losetup", "--find", "--show", str(tmp_path / "disk")).strip()
    yield made
    run("losetup", "--detach", made)


def test_a_disk_is_a_device_or_a_file_system(k: Kubectl, cluster: Cluster, device: str) -> None:
    block = disk(k, "block", device, volumeMode="Block", mountOptions=[])
    apply(k, "block", [block], [], container={"volumeDevices": [{"name": "v", "devicePath": "/dev/disk"}]})
    ready(k, "block")
    assert k("exec", "block", "--", "head", "-c", "11", "/dev/disk") == "on the disk"
    k("delete", "pod", "block")
    files = disk(k, "files", device, volumeMode="Filesystem", mountOptions=["noatime"])
    user = {"fsGroup": 1234, "runAsUser": 1000}
    for name in ("first", "second"):  # it is empty, gets a file system, and keeps that
        apply(k, name, [files], [{"name": "v", "mountPath": "/v"}], securityContext=user)
        ready(k, name)
        assert "noatime" in k("exec", name, "--", "grep", " /v ext4", "/proc/mounts")
        k("exec", name, "--", "touch", f"/v/{name}")
        found = k(
            "exec", name, "--", "sh", "-c", "cd /v; stat -c '%n %u:%g' first second 2>/dev/null; true"
        ).splitlines()
        k("delete", "pod", name)
    assert found == ["first 1000:1234", "second 1000:1234"]
    k("delete", "pvc", "block", "files")
    cluster.kubectl("delete", "pv", f"{k.namespace}-block", f"{k.namespace}-files")
