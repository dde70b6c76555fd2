"""Sets up the volumes of pods, keeps their content fresh, and takes them down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import Runtime
from kubelet.volumes.atomic import write_payload
from kubelet.volumes.base import Context, Objects, PayloadSource, Source, Tokens, UnprocessedVolume, VolumeError
from kubelet.volumes.claim import ClaimSource, EphemeralSource, NfsSource
from kubelet.volumes.configmap import ConfigMapSource
from kubelet.volumes.downward import DownwardSource
from kubelet.volumes.emptydir import EmptyDirSource
from kubelet.volumes.hostpath import HostPathSource
from kubelet.volumes.image import ImageSource
from kubelet.volumes.mounts import is_mounted, mount_tmpfs, remove_tree
from kubelet.volumes.projected import ProjectedSource
from kubelet.volumes.secret import SecretSource
from kubelet.volumes.unsupported import refusal
from kubeling.api.meta import Object

log = logging.getLogger(__name__)

SOURCES: Mapping[str, Source] = {
    "emptyDir": EmptyDirSource(),
    "hostPath": HostPathSource(),
    "persistentVolumeClaim": ClaimSource(),
    "ephemeral": EphemeralSource(),
    "nfs": NfsSource(),
    "image": ImageSource(),
}
PAYLOADS: Mapping[str, tuple[str, PayloadSource]] = {
    "configMap": ("kubernetes.io~configmap", ConfigMapSource()),
    "secret": ("kubernetes.io~secret", SecretSource()),
    "downwardAPI": ("kubernetes.io~downward-api", DownwardSource()),
    "projected": ("kubernetes.io~projected", ProjectedSource()),
}
# as upstream: these may hold secrets or are made of what nobody needs after a reboot, and never touch a disk
_IN_MEMORY = frozenset({"secret", "downwardAPI", "projected"})
_FOLDERS = {"emptyDir": "kubernetes.io~empty-dir", "nfs": "kubernetes.io~nfs", "image": "kubernetes.io~image"}


class FailedVolume(VolumeError):
    """A volume of a pod failed; the text is that of the FailedMount event."""

    def __init__(self, volume: str, why: VolumeError | OSError) -> None:
        if isinstance(why, UnprocessedVolume):
            super().__init__(unmounted_message([volume], str(why), unprocessed=[volume]))
        else:
            super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')


def unmounted_message(volumes: Sequence[str], why: str, *, unprocessed: Sequence[str] = ()) -> str:
    """As upstream's kubelet tells that it waits for volumes."""
    return (
        f"Unable to attach or mount volumes: unmounted volumes=[{' '.join(volumes)}], unattached volumes=[], "
        f"failed to process volumes=[{' '.join(unprocessed)}]: {why}"
    )


class VolumeManager:
    """``root`` is the kubelet's folder of pods; each pod's volumes are below its UID.

    ``memory``: secrets, projected volumes and downward API files live on tmpfs, where this process may mount.
    """

    def __init__(self, root: Path, *, objects: Objects, tokens: Tokens, runtime: Runtime, memory: bool = False) -> None:
        self._root, self._objects, self._tokens, self._runtime = root, objects, tokens, runtime
        self._memory = memory
        self.allocatable: Mapping[str, str] = {}
        self.host_ip = ""

    def pod_folder(self, uid: str) -> Path:
        return self._root / uid

    def _context(self, pod: Object, volume: Object, plugin: str, pod_ip: str = "") -> Context:
        folder = self.pod_folder(podspec.ref_of(pod).uid) / "volumes" / plugin / volume["name"]
        return Context(
            pod, volume, folder, self._objects, self._tokens, self._runtime, self.allocatable, pod_ip, self.host_ip
        )

    async def set_up(self, pod: Object) -> dict[str, VolumePath]:
        """All volumes of the pod, in parallel; repeating it refreshes their content. Raises FailedVolume."""
        volumes = list(podspec.spec_of(pod).get("volumes") or ())
        results = await asyncio.gather(*(self._set_up_one(pod, v) for v in volumes), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return {v["name"]: r for v, r in zip(volumes, results, strict=True) if isinstance(r, VolumePath)}

    async def _set_up_one(self, pod: Object, volume: Object) -> VolumePath:
        kind, source = _source(volume)
        try:
            if kind in PAYLOADS:
                plugin, writer = PAYLOADS[kind]
                context = self._context(pod, volume, plugin)
                payload = await writer.payload(context, source)
                if self._memory and kind in _IN_MEMORY:
                    await asyncio.to_thread(_put_in_memory, context.folder)
                await asyncio.to_thread(write_payload, context.folder, payload, context.fs_group)
                return VolumePath(str(context.folder))
            if kind not in SOURCES:
                raise refusal(kind, source, volume["name"])
            return await SOURCES[kind].set_up(
                self._context(pod, volume, _FOLDERS.get(kind, f"kubernetes.io~{kind}")), source
            )
        except (VolumeError, OSError) as err:
            raise FailedVolume(volume["name"], err) from err

    async def tear_down(self, uid: str) -> None:
        """Unmounts and removes all of the pod's folder. Raises OSError."""
        await asyncio.to_thread(remove_tree, self.pod_folder(uid))

    async def leftovers(self) -> list[str]:
        """UIDs that still have a folder."""
        return await asyncio.to_thread(lambda: [p.name for p in self._root.iterdir()] if self._root.exists() else [])


def _put_in_memory(folder: Path) -> None:
    """A tmpfs at the folder, once. A folder that holds files already stays: containers have it mounted. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_mounted(folder) or any(folder.iterdir()):
        return
    try:
        mount_tmpfs(folder, 0)
    except PermissionError:
        log.warning("This process may not mount: %s is on disk instead of in memory", folder)


def _source(volume: Object) -> tuple[str, Mapping[str, Any]]:
    """The kind of a volume and its fields; a volume without any is an emptyDir."""
    for kind, source in volume.items():
        if kind != "name":
            return kind, source or {}
    return "emptyDir", {}
