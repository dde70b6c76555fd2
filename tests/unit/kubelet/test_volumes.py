"""Volumes: payloads, the atomic writer, host paths, sub paths, tokens."""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubelet.containers.failure import ConfigError
from kubelet.runtime.simulated import SimulatedRuntime
from kubelet.runtime.specs import Mount
from kubelet.volumes.atomic import write_payload
from kubelet.volumes.base import PayloadFile, VolumeError
from kubelet.volumes.hostpath import prepare_host_path
from kubelet.volumes.manager import FailedVolume, VolumeManager
from kubelet.volumes.mounts import is_mounted, mounted_below
from kubelet.volumes.ownership import set_group
from kubelet.volumes.subpath import prepare_sub_path
from kubelet.volumes.tokens import TokenManager
from kubeling.api.meta import rfc3339
from kubeling.client.clock import FakeClock


class Objects:
    """API objects by kind and name."""

    def __init__(self, **objects: Any) -> None:
        self.objects = objects

    async def get(self, resource: Any, namespace: str, name: str, pod_uid: str) -> Any:
        return self.objects.get(f"{resource.kind}_{name}".replace("-", "_"))


class Tokens:
    async def token(self, namespace: str, account: str, *, audience: str, seconds: int, pod: Any) -> str:
        return f"{namespace}/{account}/{audience}/{seconds}"


def manager(tmp_path: Path, **objects: Any) -> VolumeManager:
    runtime: Any = SimulatedRuntime(FakeClock())
    return VolumeManager(tmp_path, objects=Objects(**objects), tokens=Tokens(), runtime=runtime)


def pod(*volumes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"a": "b"}}
    return {
        "metadata": metadata,
        "spec": {
            "containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}],
            "volumes": list(volumes),
            **spec,
        },
    }


CONFIG = {"data": {"k": "v", "l": "w"}, "binaryData": {"b": base64.b64encode(b"\xff").decode()}}


async def test_config_map_volume(tmp_path: Path) -> None:
    volumes = manager(tmp_path, ConfigMap_cm=CONFIG)
    given = pod(
        {"name": "all", "configMap": {"name": "cm"}},
        {"name": "some", "configMap": {"name": "cm", "items": [{"key": "k", "path": "x/y", "mode": 0o400}]}},
        {"name": "none", "configMap": {"name": "gone", "optional": True}},
    )
    paths = {k: Path(v.path) for k, v in (await volumes.set_up(given)).items()}
    assert {p.name: p.read_bytes() for p in paths["all"].iterdir() if not p.name.startswith("..")} == {
        "k": b"v",
        "l": b"w",
        "b": b"\xff",
    }
    assert (paths["some"] / "x/y").read_text() == "v"
    assert (paths["some"] / "x/y").stat().st_mode & 0o777 == 0o400
    assert [p for p in paths["none"].iterdir() if not p.name.startswith("..")] == []
    await volumes.tear_down("u1")
    assert await volumes.leftovers() == []


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "gone"}}, 'MountVolume.SetUp failed for volume "v" : configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'MountVolume.SetUp failed for volume "v" : secret "gone" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "no", "path": "x"}]}},
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent configmap key: no',
        ),
        (
            {"cephfs": {}},
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: "
            'failed to get Plugin from volumeSpec for volume "v" err=no volume plugin matched',
        ),
        (
            {"csi": {"driver": "disk.example.com"}},
            'MountVolume.SetUp failed for volume "v" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
            "driver name disk.example.com not found in the list of registered CSI drivers",
        ),
        (
            {"gcePersistentDisk": {"pdName": "d"}},
            'MountVolume.SetUp failed for volume "v" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
            "driver name pd.csi.storage.gke.io not found in the list of registered CSI drivers",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "pending"}},
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: "
            "error processing PVC ns/pending: PVC is not bound",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "gone"}},
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: "
            'error processing PVC ns/gone: failed to fetch PVC from API server: persistentvolumeclaims "gone" not found',
        ),
    ],
)
async def test_failures(tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    pending = {"metadata": {"name": "pending"}, "spec": {}, "status": {"phase": "Pending"}}
    with pytest.raises(FailedVolume) as caught:
        await manager(tmp_path, ConfigMap_cm=CONFIG, PersistentVolumeClaim_pending=pending).set_up(
            pod({"name": "v", **volume})
        )
    assert str(caught.value) == message


async def test_projected_and_downward(tmp_path: Path) -> None:
    source = [
        {"serviceAccountToken": {"path": "token", "audience": "me", "expirationSeconds": 600}},
        {"configMap": {"name": "cm", "items": [{"key": "k", "path": "k"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    cpu = {
        "items": [
            {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}}
        ]
    }
    given = pod(
        {"name": "p", "projected": {"sources": source}}, {"name": "d", "downwardAPI": cpu}, serviceAccountName="sa"
    )
    paths = {k: Path(v.path) for k, v in (await manager(tmp_path, ConfigMap_cm=CONFIG).set_up(given)).items()}
    assert (paths["p"] / "token").read_text() == "ns/sa/me/600"
    assert (paths["p"] / "labels").read_text() == 'a="b"'
    assert (paths["d"] / "cpu").read_text() == "2000"


async def test_bound_claim_on_a_host_path(tmp_path: Path) -> None:
    claim = {"metadata": {"name": "c", "uid": "cu"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    volume = {
        "spec": {"hostPath": {"path": str(tmp_path / "data"), "type": "DirectoryOrCreate"}, "claimRef": {"uid": "cu"}}
    }
    found = await manager(tmp_path / "root", PersistentVolumeClaim_c=claim, PersistentVolume_pv=volume).set_up(
        pod({"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}})
    )
    assert (found["v"].path, found["v"].read_only) == (str(tmp_path / "data"), True)
    assert (tmp_path / "data").is_dir()


def test_atomic_writer_swaps_everything_at_once(tmp_path: Path) -> None:
    def files(**content: str) -> dict[str, PayloadFile]:
        return {k: PayloadFile(v.encode(), 0o644) for k, v in content.items()}

    assert write_payload(tmp_path, files(a="1", b="2"), None)
    assert not write_payload(tmp_path, files(a="1", b="2"), None)
    before = (tmp_path / "..data").readlink()
    open_file = (tmp_path / "a").open()
    assert write_payload(tmp_path, files(a="3", c="4"), None)
    assert open_file.read() == "1"
    open_file.close()
    assert (tmp_path / "..data").readlink() != before
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["a", "c"]
    assert (tmp_path / "a").read_text() == "3"
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("..2")]) == 1


@pytest.mark.parametrize(
    ("kind", "make", "error"),
    [
        ("", "", ""),
        ("DirectoryOrCreate", "", ""),
        ("FileOrCreate", "", ""),
        ("Directory", "", "is not a directory"),
        ("File", "dir", "is not a file"),
        ("Socket", "file", "is not a socket file"),
        ("BlockDevice", "file", "is not a block device"),
        ("File", "file", ""),
    ],
)
def test_host_path_types(tmp_path: Path, kind: str, make: str, error: str) -> None:
    path = tmp_path / "x"
    if make == "dir":
        path.mkdir()
    elif make:
        path.touch()
    if error:
        with pytest.raises(VolumeError, match=f"hostPath type check failed: {path} {error}"):
            prepare_host_path(path, kind)
    else:
        prepare_host_path(path, kind)
        assert path.exists()


def test_sub_paths_stay_inside(tmp_path: Path) -> None:
    mount = Mount(str(tmp_path), "/x")
    assert prepare_sub_path(mount, "a/b").source == str(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "link").symlink_to("/etc")
    for bad in ("../x", "link", "link/passwd"):
        with pytest.raises(ConfigError):
            prepare_sub_path(mount, bad)


def test_group_ownership(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d/f").touch(mode=0o600)
    set_group(tmp_path, os.getgid())
    assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o2770
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o660
    (tmp_path / "d/f").chmod(0o600)
    set_group(tmp_path, os.getgid(), on_root_mismatch=True)
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o600


class TokenApi:
    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.requests = clock, 0

    async def create(self, resource: Any, obj: Any, namespace: str, *, name: str, subresource: str) -> Any:
        self.requests += 1
        expires = self.clock.now() + timedelta(seconds=obj["spec"]["expirationSeconds"])
        return {"status": {"token": f"t{self.requests}", "expirationTimestamp": rfc3339(expires)}}


async def test_tokens_are_refreshed_at_four_fifths_of_their_life() -> None:
    clock = FakeClock()
    api: Any = TokenApi(clock)
    tokens = TokenManager(api, clock)

    async def token() -> str:
        return await tokens.token("ns", "sa", audience="", seconds=1000, pod=pod())

    assert [await token(), await token()] == ["t1", "t1"]
    await clock.advance(799)
    assert await token() == "t1"
    assert tokens.stale_pods() == set()
    await clock.advance(2)
    assert tokens.stale_pods() == {"u1"}
    assert await token() == "t2"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
async def test_what_may_be_secret_lives_in_memory_and_goes_with_the_pod(tmp_path: Path) -> None:
    runtime: Any = SimulatedRuntime(FakeClock())
    objects = Objects(Secret_s={"data": {"k": base64.b64encode(b"v").decode()}}, ConfigMap_c=CONFIG)
    volumes = VolumeManager(tmp_path, objects=objects, tokens=Tokens(), runtime=runtime, memory=True)
    token = {"serviceAccountToken": {"path": "token"}}
    wanted = pod(
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "token", "projected": {"sources": [token]}},
        {"name": "down", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "config", "configMap": {"name": "c"}},
    )
    paths = {name: Path(found.path) for name, found in (await volumes.set_up(wanted)).items()}
    try:
        await volumes.set_up(wanted)  # a refresh mounts nothing again
        assert {n for n, p in paths.items() if is_mounted(p)} == {"secret", "token", "down"}
        assert len(mounted_below(tmp_path)) == 3
        assert (paths["secret"] / "k").read_bytes() == b"v"
    finally:
        await volumes.tear_down("u1")
    assert not mounted_below(tmp_path)
    assert not (tmp_path / "u1").exists()
