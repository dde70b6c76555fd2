"""Volumes: payloads, the atomic writer, host paths, sub paths, tokens."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubelet.volumes.atomic import write_payload
from kubelet.volumes.base import ObjectUnavailable, PayloadFile, VolumeError
from kubelet.volumes.emptydir import memory_size
from kubelet.volumes.hostpath import prepare_host_path
from kubelet.volumes.manager import VolumeManager, VolumesNotReady
from kubelet.volumes.mountprogram import format_arguments, mount_arguments
from kubelet.volumes.mounts import is_mounted, mount_tmpfs, mounted_below, remove_tree
from kubelet.volumes.ownership import set_group
from kubelet.volumes.tokens import TokenManager
from kubelet.volumes.usage import folder_size
from kubeling.api.meta import rfc3339
from kubeling.client.clock import FakeClock


class Objects:
    """API objects by kind and name; those of ``away`` cannot be asked for."""

    def __init__(self, *away: str, **objects: Any) -> None:
        self.objects, self.away = objects, away

    async def get(self, resource: Any, namespace: str, name: str, pod_uid: str) -> Any:
        if name in self.away:
            raise ObjectUnavailable("the server is away")
        return self.objects.get(f"{resource.kind}_{name}".replace("-", "_"))


class Tokens:
    async def token(self, namespace: str, account: str, *, audience: str, seconds: int, pod: Any) -> str:
        return f"{namespace}/{account}/{audience}/{seconds}"


class Events:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.then: Callable[[], None] = lambda: None  # what happens after each

    def event(self, obj: Any, type_: str, reason: str, message: str, **more: Any) -> None:
        self.told.append((reason, message))
        self.then()

    def take(self) -> list[tuple[str, str]]:
        told, self.told = self.told, []
        return told


class World:
    """A volume manager with what it asks and tells."""

    def __init__(self, folder: Path, *away: str, memory: bool = False, **objects: Any) -> None:
        self.objects, self.events, self.clock = Objects(*away, **objects), Events(), FakeClock()
        self.volumes = VolumeManager(
            folder, objects=self.objects, tokens=Tokens(), recorder=self.events, clock=self.clock, memory=memory
        )

    async def paths(self, given: dict[str, Any]) -> dict[str, Path]:
        return {name: Path(v.path) for name, v in (await self.volumes.set_up(given)).paths.items()}

    async def fails(self, given: dict[str, Any]) -> float:
        """Seconds until it is to be tried again."""
        with pytest.raises(VolumesNotReady) as caught:
            await self.volumes.set_up(given)
        return (caught.value.retry_at - self.clock.now()).total_seconds()


def pod(*volumes: dict[str, Any], uid: str = "u1", **spec: Any) -> dict[str, Any]:
    """A pod whose container mounts all the volumes."""
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    container = {"name": "c", "resources": {"limits": {"cpu": "2"}}, "volumeMounts": mounts}
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": uid, "labels": {"a": "b"}},
        "spec": {"containers": [container], "volumes": list(volumes), **spec},
    }


CONFIG = {"data": {"k": "v", "l": "w"}, "binaryData": {"b": base64.b64encode(b"\xff").decode()}}


async def test_config_map_volume(tmp_path: Path) -> None:
    world = World(tmp_path, ConfigMap_cm=CONFIG)
    given = pod(
        {"name": "all", "configMap": {"name": "cm"}},
        {"name": "some", "configMap": {"name": "cm", "items": [{"key": "k", "path": "x/y", "mode": 0o400}]}},
        {"name": "none", "configMap": {"name": "gone", "optional": True}},
    )
    found = (await world.volumes.set_up(given)).paths
    assert all(v.read_only for v in found.values())
    paths = {name: Path(v.path) for name, v in found.items()}
    assert {p.name: p.read_bytes() for p in paths["all"].iterdir() if not p.name.startswith("..")} == {
        "k": b"v",
        "l": b"w",
        "b": b"\xff",
    }
    assert paths["all"].stat().st_mode & 0o7777 == 0o777
    assert (paths["some"] / "x/y").read_text() == "v"
    assert (paths["some"] / "x/y").stat().st_mode & 0o777 == 0o400
    assert [p for p in paths["none"].iterdir() if not p.name.startswith("..")] == []
    await world.volumes.tear_down("u1")
    assert await world.volumes.leftovers() == []


UNPROCESSED = (
    "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: "
)
CLAIMS = {
    "PersistentVolumeClaim_pending": {"metadata": {"name": "pending"}, "spec": {}, "status": {"phase": "Pending"}},
    "PersistentVolumeClaim_going": {"metadata": {"name": "going", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    "PersistentVolumeClaim_p_v": {
        "metadata": {"name": "p-v", "uid": "other"},
        "spec": {"volumeName": "pv"},
        "status": {"phase": "Bound"},
    },
}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "gone"}}, 'MountVolume.SetUp failed for volume "v" : configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'MountVolume.SetUp failed for volume "v" : secret "gone" not found'),
        ({"configMap": {"name": "away"}}, 'MountVolume.SetUp failed for volume "v" : the server is away'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "no", "path": "x"}]}},
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: no',
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "no", "path": "x"}]}},
            'MountVolume.SetUp failed for volume "v" : references non-existent secret key: no',
        ),
        (
            {"projected": {"sources": [{"secret": {"name": "gone"}}, {"configMap": {"name": "gone"}}]}},
            'MountVolume.SetUp failed for volume "v" : [secret "gone" not found, configmap "gone" not found]',
        ),
        (
            {"cephfs": {}},
            UNPROCESSED + 'failed to get Plugin from volumeSpec for volume "v" err=no volume plugin matched',
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
            UNPROCESSED + "error processing PVC ns/pending: PVC is not bound",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "going"}},
            UNPROCESSED + "error processing PVC ns/going: PVC is being deleted",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "gone"}},
            UNPROCESSED + "error processing PVC ns/gone: failed to fetch PVC from API server: "
            'persistentvolumeclaims "gone" not found',
        ),
        (
            {"persistentVolumeClaim": {"claimName": "away"}},
            UNPROCESSED + "error processing PVC ns/away: failed to fetch PVC from API server: the server is away",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "p-v"}},
            UNPROCESSED + "error processing PVC ns/p-v: failed to fetch PV pv from API server: "
            'persistentvolumes "pv" not found',
        ),
        ({"ephemeral": {}}, UNPROCESSED + "PVC ns/p-v was not created for pod ns/p (pod is not owner)"),
    ],
)
async def test_failures_are_told_as_upstream_tells_them(tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    secret = {"data": {"k": ""}}
    world = World(tmp_path, "away", ConfigMap_cm=CONFIG, Secret_s=secret, **CLAIMS)
    await world.fails(pod({"name": "v", **volume}))
    assert world.events.told == [("FailedMount", message)]


async def test_a_volume_that_fails_is_tried_again_after_twice_the_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    given = pod({"name": "v", "configMap": {"name": "cm"}})
    delays = []
    for _ in range(10):
        delays.append(await world.fails(given))
        await world.clock.advance(delays[-1])
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122]
    assert len(world.events.take()) == 10
    await world.fails(given)
    world.events.take()
    assert await world.fails(given) == 122 and not world.events.told  # asked again too early: nothing was tried
    world.objects.objects["ConfigMap_cm"] = CONFIG
    world.volumes.hurry("u1")  # it is there now
    assert (await world.paths(given))["v"].joinpath("k").read_text() == "v"


async def test_what_comes_while_volumes_are_set_up_is_not_missed(tmp_path: Path) -> None:
    world = World(tmp_path)

    def arrive() -> None:
        world.objects.objects["ConfigMap_cm"] = CONFIG
        world.volumes.hurry("u1")

    world.events.then = arrive
    given = pod({"name": "v", "configMap": {"name": "cm"}})
    assert await world.fails(given) == 0
    assert (await world.paths(given))["v"].joinpath("k").exists()


async def test_a_claim_that_is_not_bound_is_looked_at_every_ten_seconds(tmp_path: Path) -> None:
    world = World(tmp_path, **CLAIMS)
    given = pod({"name": "v", "persistentVolumeClaim": {"claimName": "pending"}}, {"name": "e", "emptyDir": {}})
    for _ in range(3):
        assert await world.fails(given) == 10
        await world.clock.advance(10)
    assert [reason for reason, _ in world.events.told] == ["FailedMount"] * 3
    assert "unmounted volumes=[v]," in world.events.told[0][1]


async def test_a_running_pod_keeps_a_volume_whose_source_has_gone(tmp_path: Path) -> None:
    world = World(tmp_path, ConfigMap_cm=CONFIG)
    given = pod({"name": "v", "configMap": {"name": "cm"}})
    before = await world.paths(given)
    del world.objects.objects["ConfigMap_cm"]
    found = await world.volumes.set_up(given)
    assert {name: Path(v.path) for name, v in found.paths.items()} == before
    assert found.retry_at is not None and (before["v"] / "k").read_text() == "v"
    assert world.events.told == [("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "cm" not found')]


async def test_volumes_that_no_container_uses_are_not_set_up(tmp_path: Path) -> None:
    given = pod({"name": "v", "emptyDir": {}})
    given["spec"]["volumes"].append({"name": "unused", "configMap": {"name": "gone"}})
    assert set(await World(tmp_path).paths(given)) == {"v"}


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
    paths = await World(tmp_path, ConfigMap_cm=CONFIG).paths(given)
    assert (paths["p"] / "token").read_text() == "ns/sa/me/600"
    assert (paths["p"] / "labels").read_text() == 'a="b"'
    assert (paths["d"] / "cpu").read_text() == "2000"


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
@pytest.mark.parametrize(
    ("security", "mode", "owner", "group"),
    [
        ({}, 0o644, 0, 0),
        ({"runAsUser": 7}, 0o600, 7, 0),
        ({"fsGroup": 8}, 0o640, 0, 8),
        ({"runAsUser": 7, "fsGroup": 8}, 0o640, 7, 8),
    ],
)
async def test_who_may_read_a_token(
    tmp_path: Path, security: dict[str, int], mode: int, owner: int, group: int
) -> None:
    source = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
    given = pod({"name": "p", "projected": source}, securityContext=security)
    path = (await World(tmp_path).paths(given))["p"]
    found = (path / "token").stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (mode, owner, group)
    assert path.stat().st_mode & 0o7777 == (0o2777 if "fsGroup" in security else 0o777)


def bound(name: str = "c", **spec: Any) -> dict[str, Any]:
    claim = {"metadata": {"name": name, "uid": "cu"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    volume = {"metadata": {"name": "pv"}, "spec": {"claimRef": {"uid": "cu"}, **spec}}
    return {f"PersistentVolumeClaim_{name}": claim, "PersistentVolume_pv": volume}


CLAIM = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}


async def test_bound_claim_on_a_host_path(tmp_path: Path) -> None:
    objects = bound(hostPath={"path": str(tmp_path / "data"), "type": "DirectoryOrCreate"})
    objects["PersistentVolume_pv"]["metadata"]["annotations"] = {"pv.beta.kubernetes.io/gid": "42"}
    world = World(tmp_path / "root", **objects)
    given = pod({"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}})
    found = (await world.volumes.set_up(given)).paths["v"]
    assert (found.path, found.read_only, found.persistent, found.group) == (str(tmp_path / "data"), True, "pv", 42)
    assert (tmp_path / "data").is_dir()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"local": {"path": "/nowhere/at/all"}},
            'MountVolume.NewMounter initialization failed for volume "pv" : path "/nowhere/at/all" does not exist',
        ),
        (
            {"hostPath": {"path": "/"}, "mountOptions": ["noexec"]},
            'MountVolume.MountOptionSupport check failed for volume "pv" : '
            "Mount options are not supported for this volume type",
        ),
        (
            {"hostPath": {"path": "/"}, "nodeAffinity": {"required": {"nodeSelectorTerms": []}}},
            'MountVolume.NodeAffinity check failed for volume "pv" : no matching NodeSelectorTerms',
        ),
        (
            {"hostPath": {"path": "/proc", "type": "File"}},
            'MountVolume.SetUp failed for volume "pv" : hostPath type check failed: /proc is not a file',
        ),
        (
            {"csi": {"driver": "disk.example.com"}},
            'MountVolume.MountDevice failed for volume "pv" : kubernetes.io/csi: attacher.MountDevice failed to create '
            "newCsiDriverClient: driver name disk.example.com not found in the list of registered CSI drivers",
        ),
    ],
)
async def test_persistent_volumes_that_fail(tmp_path: Path, spec: dict[str, Any], told: str) -> None:
    world = World(tmp_path, **bound(**spec))
    await world.fails(pod(CLAIM))
    assert world.events.told == [("FailedMount", told)]


async def test_a_block_volume_has_to_be_a_device(tmp_path: Path) -> None:
    world = World(tmp_path, **bound(local={"path": str(tmp_path)}, volumeMode="Block"))
    given = pod(CLAIM)
    container = given["spec"]["containers"][0]
    await world.fails(given)
    assert world.events.take() == [
        ("FailedMount", UNPROCESSED + "volume v has volumeMode Block, but is specified in volumeMounts")
    ]
    container["volumeMounts"], container["volumeDevices"] = [], [{"name": "v", "devicePath": "/dev/x"}]
    await world.clock.advance(10)
    await world.fails(given)
    assert world.events.told == [
        ("FailedMapVolume", f'MapVolume.MapPodDevice failed for volume "pv" : {tmp_path} is not a block device')
    ]


async def test_read_write_once_pod_is_for_one_pod_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path, **bound(hostPath={"path": "/"}, accessModes=["ReadWriteOncePod"]))
    await world.volumes.set_up(pod(CLAIM))
    await world.fails(pod(CLAIM, uid="u2"))
    assert world.events.told == [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "pv" : '
            "volume uses the ReadWriteOncePod access mode and is already in use by another pod",
        )
    ]
    await world.volumes.unmount("u1")
    await world.clock.advance(1)
    await world.volumes.set_up(pod(CLAIM, uid="u2"))


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
async def test_a_local_volume_keeps_the_group_of_its_first_pod(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    world = World(tmp_path / "root", **bound(local={"path": str(data)}))
    await world.volumes.set_up(pod(CLAIM, securityContext={"fsGroup": 7}))
    await world.volumes.set_up(pod(CLAIM, uid="u2", securityContext={"fsGroup": 8}))
    assert data.stat().st_gid == 7
    assert world.events.told == [
        (
            "AlreadyMountedVolume",
            "The requested fsGroup is 8, but the volume pv has GID 7. The volume may not be shareable.",
        )
    ]


def test_what_mount_is_given() -> None:
    target = Path("/t")
    assert mount_arguments("h:/x", target, "nfs", ["nolock", "ro"]) == ["-t", "nfs", "-o", "nolock,ro", "h:/x", "/t"]
    assert mount_arguments("/s", target, "", []) == ["/s", "/t"]
    assert format_arguments("/dev/x", "ext4") == ["-F", "-m0", "/dev/x"]
    assert format_arguments("/dev/x", "xfs") == ["-f", "/dev/x"]
    assert format_arguments("/dev/x", "btrfs") == ["/dev/x"]


@pytest.mark.parametrize(
    ("limits", "size_limit", "size"),
    [
        ([None], None, 1000),
        ([None], "10", 10),
        (["300", "200"], None, 500),
        (["300", None], None, 1000),
        (["300"], "400", 300),
        (["3000"], "0", 1000),
    ],
)
def test_size_of_a_volume_in_memory(limits: list[str | None], size_limit: str | None, size: int) -> None:
    containers = [{"name": "c", "resources": {"limits": {"memory": m}} if m else {}} for m in limits]
    assert memory_size({"spec": {"containers": containers}}, {"memory": "1000"}, size_limit) == size


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


@pytest.mark.parametrize("name", ["", "/etc/x", "a/../../x", "..data", "x" * 300])
def test_the_atomic_writer_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(VolumeError, match=r"^invalid path: "):
        write_payload(tmp_path / "v", {name: PayloadFile(b"", 0o644)}, None)
    assert not (tmp_path / "v").exists()


def test_what_a_kubelet_that_died_had_begun_to_write_goes(tmp_path: Path) -> None:
    (tmp_path / "..2026_01_01_00_00_00.x").mkdir()
    assert write_payload(tmp_path, {"a": PayloadFile(b"1", 0o644)}, None)
    assert [p for p in tmp_path.glob("..2*")] == [tmp_path / (tmp_path / "..data").readlink()]


def test_nothing_too_deep_is_left_and_no_link_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    pod_folder, here = tmp_path / "pod", os.open(tmp_path, os.O_RDONLY)
    for number in range(1500):  # deeper than Python calls itself, and than a path can name
        os.mkdir("pod" if not number else "d" * 20, dir_fd=here)
        inner = os.open("pod" if not number else "d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        assert folder_size(pod_folder) == 0
        (pod_folder / "link").symlink_to(tmp_path / "kept")
    finally:
        remove_tree(pod_folder)
    assert not pod_folder.exists() and (tmp_path / "kept/file").exists()


def test_group_ownership(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d/f").touch(mode=0o600)
    set_group(tmp_path, os.getgid())
    assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o2770
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o660
    (tmp_path / "d/f").chmod(0o600)
    set_group(tmp_path, os.getgid(), on_root_mismatch=True)
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o600
    tmp_path.chmod(0o2760)  # the group may not enter
    set_group(tmp_path, os.getgid(), on_root_mismatch=True)
    assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o660


def test_group_ownership_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").touch(mode=0o600)
    (tmp_path / "v").mkdir()
    (tmp_path / "v/link").symlink_to(tmp_path / "outside")
    (tmp_path / "v/up").symlink_to(tmp_path)
    set_group(tmp_path / "v", os.getgid())
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o600


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
    told: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(tokens.run(told.put_nowait))
    await clock.advance(60)
    assert await told.get() == "u1"
    running.cancel()
    assert await token() == "t2"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
async def test_what_may_be_secret_lives_in_memory_and_goes_with_the_pod(tmp_path: Path) -> None:
    secret = {"data": {"k": base64.b64encode(b"v").decode()}}
    world = World(tmp_path, memory=True, Secret_s=secret, ConfigMap_c=CONFIG)
    token = {"serviceAccountToken": {"path": "token"}}
    wanted = pod(
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "token", "projected": {"sources": [token]}},
        {"name": "down", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "config", "configMap": {"name": "c"}},
    )
    paths = await world.paths(wanted)
    try:
        await world.paths(wanted)  # a refresh mounts nothing again
        assert {n for n, p in paths.items() if is_mounted(p)} == {"secret", "token", "down"}
        assert len(mounted_below(tmp_path)) == 3
        assert (paths["secret"] / "k").read_bytes() == b"v"
        assert paths["secret"].stat().st_mode & 0o7777 == 0o1777
    finally:
        await world.volumes.unmount("u1")
    assert not mounted_below(tmp_path)
    assert list((tmp_path / "u1").iterdir()) == []
    await world.volumes.tear_down("u1")
    assert not (tmp_path / "u1").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_a_mount_whose_name_is_written_in_octal_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "a b\u00e9"
    folder.mkdir()
    mount_tmpfs(folder, 1 << 20)
    try:
        assert is_mounted(folder)
    finally:
        remove_tree(folder)
    assert not folder.exists()
