"""Sets up the volumes of pods, keeps their content fresh, and takes them down."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.pods.recorder import Recorder
from kubelet.volumes.atomic import write_payload
from kubelet.volumes.base import (
    Context,
    Objects,
    ObjectUnavailable,
    PayloadSource,
    Source,
    Tokens,
    UnprocessedVolume,
    VolumeError,
)
from kubelet.volumes.claim import ClaimSource, EphemeralSource
from kubelet.volumes.configmap import ConfigMapSource
from kubelet.volumes.downward import DownwardSource
from kubelet.volumes.emptydir import EmptyDirSource, memory_size
from kubelet.volumes.hostpath import HostPathSource
from kubelet.volumes.image import ImageSource
from kubelet.volumes.metrics import mounting
from kubelet.volumes.mounts import is_mounted, mount_tmpfs, remove_tree
from kubelet.volumes.persistent import NfsSource
from kubelet.volumes.projected import ProjectedSource
from kubelet.volumes.secret import SecretSource
from kubelet.volumes.subpath import FOLDER as SUB_PATHS
from kubelet.volumes.unsupported import refusal
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

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
_FOLDERS = {
    "emptyDir": "kubernetes.io~empty-dir",
    "hostPath": "kubernetes.io~host-path",
    "nfs": "kubernetes.io~nfs",
    "image": "kubernetes.io~image",
}
_CLAIMS = frozenset({"persistentVolumeClaim", "ephemeral"})
_VOLUME_FOLDERS = (SUB_PATHS, "volumes")  # in the order in which they go

_FIRST, _MOST = timedelta(seconds=0.5), timedelta(minutes=2, seconds=2)  # between attempts to mount one volume
_PROCESS_AGAIN = timedelta(seconds=10)  # what a pod worker of upstream's waits after a sync that failed


class VolumesNotReady(Exception):
    """A pod's volumes are not there yet; events have told why. ``retry_at`` is when to try again."""

    def __init__(self, retry_at: datetime) -> None:
        super().__init__("the pod's volumes are not ready")
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class PodVolumes:
    """A pod's volumes by name; ``retry_at`` is set where the content of one could not be brought up to date."""

    paths: Mapping[str, VolumePath]
    retry_at: datetime | None = None


@dataclass(slots=True)
class _Volume:
    """``path`` once it is set up; ``due`` after a failure, with the delay that led there; ``unprocessed`` says why it is not known
    what to mount."""

    path: VolumePath | None = None
    due: datetime | None = None
    delay: timedelta = timedelta(0)
    unprocessed: str = ""

    def failed(self, err: Exception, now: datetime) -> None:
        if isinstance(err, UnprocessedVolume):
            self.unprocessed, self.due = str(err), now + _PROCESS_AGAIN
            return
        self.delay = min(self.delay * 2, _MOST) if self.delay else _FIRST
        self.unprocessed, self.due = "", now + self.delay

    def succeeded(self, path: VolumePath) -> None:
        self.path, self.due, self.delay, self.unprocessed = path, None, timedelta(0), ""


class VolumeManager:
    """``root`` is the kubelet's folder of pods; each pod's volumes are below its UID.

    ``memory``: secrets, projected volumes and downward API files live on tmpfs, where this process may mount.
    """

    def __init__(
        self,
        root: Path,
        *,
        objects: Objects,
        tokens: Tokens,
        recorder: Recorder,
        clock: Clock,
        memory: bool = False,
    ) -> None:
        self._root, self._objects, self._tokens, self._recorder, self._clock = root, objects, tokens, recorder, clock
        self._memory = memory
        self._pods: dict[str, dict[str, _Volume]] = {}
        self.allocatable: Mapping[str, str] = {}
        self.host_ip = ""
        self.node: Callable[[], Object] = dict

    def pod_folder(self, uid: str) -> Path:
        return self._root / uid

    def _context(self, pod: Object, volume: Object, plugin: str) -> Context:
        uid = podspec.ref_of(pod).uid
        return Context(
            pod,
            volume,
            self.pod_folder(uid) / "volumes" / plugin / volume["name"],
            self._objects,
            self._tokens,
            self.allocatable,
            self.node(),
            lambda reason, message: self._recorder.event(pod, "Warning", reason, message),
            self.host_ip,
            frozenset(
                v.path.persistent for other, held in self._pods.items() if other != uid for v in held.values() if v.path
            ),
        )

    async def set_up(self, pod: Object) -> PodVolumes:
        """All volumes that the pod's containers mount, in parallel; repeating it refreshes their content. A volume that failed is
        tried again when its time has come, and one that was set up before stays usable meanwhile. Raises VolumesNotReady."""
        used = used_volumes(pod)
        known = self._pods.setdefault(podspec.ref_of(pod).uid, {})
        volumes = [(v, known.setdefault(v["name"], _Volume())) for v in podspec.spec_of(pod).get("volumes") or ()]
        volumes = [(v, state) for v, state in volumes if v["name"] in used]
        now = self._clock.now()
        due = [(v, state) for v, state in volumes if state.due is None or state.due <= now]
        await asyncio.gather(*(self._try(pod, v, state) for v, state in due))
        if any(state.unprocessed for _, state in due):
            self._tell_unprocessed(pod, volumes)
        retry_at = min((state.due for _, state in volumes if state.due), default=None)
        paths = {v["name"]: state.path for v, state in volumes if state.path}
        if len(paths) < len(volumes):  # without a time: what was missing has come while we looked
            raise VolumesNotReady(retry_at or now)
        return PodVolumes(paths, retry_at)

    async def _try(self, pod: Object, volume: Object, state: _Volume) -> None:
        try:
            state.succeeded(await self._set_up_one(pod, volume))
        except (VolumeError, ObjectUnavailable, OSError) as err:
            state.failed(err, self._clock.now())
            if not state.unprocessed:
                failure = err if isinstance(err, VolumeError) else VolumeError(str(err))
                self._recorder.event(pod, "Warning", failure.reason, failure.text(volume["name"]))

    def _tell_unprocessed(self, pod: Object, volumes: Iterable[tuple[Object, _Volume]]) -> None:
        unmounted = sorted(v["name"] for v, state in volumes if state.path is None)
        unknown = sorted(v["name"] for v, state in volumes if state.unprocessed)
        why = "; ".join(sorted({state.unprocessed for _, state in volumes if state.unprocessed}))
        self._recorder.event(
            pod,
            "Warning",
            "FailedMount",
            f"Unable to attach or mount volumes: unmounted volumes=[{' '.join(unmounted)}], unattached volumes=[], "
            f"failed to process volumes=[{' '.join(unknown)}]: {why}",
        )

    async def _set_up_one(self, pod: Object, volume: Object) -> VolumePath:
        kind, source = _source(volume)
        if kind in PAYLOADS:
            plugin, writer = PAYLOADS[kind]
            with mounting(plugin.replace("~", "/")):
                return await self._write(self._context(pod, volume, plugin), kind, writer, source)
        if kind not in SOURCES:
            raise refusal(kind, source, volume["name"])
        context = self._context(pod, volume, _FOLDERS.get(kind, f"kubernetes.io~{kind}"))
        if kind in _CLAIMS:  # what mounts it is found out on the way
            return await SOURCES[kind].set_up(context, source)
        with mounting(plugin_name(kind)):
            return await SOURCES[kind].set_up(context, source)

    async def _write(self, context: Context, kind: str, writer: PayloadSource, source: Mapping[str, Any]) -> VolumePath:
        payload = await writer.payload(context, source)
        if self._memory and kind in _IN_MEMORY:
            await asyncio.to_thread(_put_in_memory, context.folder, memory_size(context.pod, self.allocatable))
        await asyncio.to_thread(write_payload, context.folder, payload, context.fs_group)
        return VolumePath(str(context.folder), read_only=True)

    def mounted(self, uid: str) -> dict[str, VolumePath]:
        """The pod's volumes that are set up, by name."""
        return {name: state.path for name, state in self._pods.get(uid, {}).items() if state.path}

    def totals(self, pods: Iterable[Object]) -> Counter[tuple[str, str]]:
        """How many volumes of the pods each plugin is to mount and has mounted, by plugin and upstream's name of the state."""
        found: Counter[tuple[str, str]] = Counter()
        for pod in pods:
            mounted, used = self.mounted(podspec.ref_of(pod).uid), used_volumes(pod)
            for volume in podspec.spec_of(pod).get("volumes") or ():
                path = mounted.get(volume["name"])
                plugin = (path.plugin if path else "") or plugin_name(_source(volume)[0])
                if plugin and volume["name"] in used:
                    found[plugin, "desired_state_of_world"] += 1
                    found[plugin, "actual_state_of_world"] += path is not None
        return found

    def hurry(self, uid: str) -> None:
        """Something that the pod's volumes are made of has changed: no failure is a reason to wait any more."""
        for state in self._pods.get(uid, {}).values():
            state.due = None

    async def unmount(self, uid: str) -> None:
        """The pod's containers have ended for good: its volumes go, what the kubelet keeps of it stays. Raises OSError."""
        self._pods.pop(uid, None)
        for name in _VOLUME_FOLDERS:
            await asyncio.to_thread(remove_tree, self.pod_folder(uid) / name)

    async def tear_down(self, uid: str) -> None:
        """Unmounts and removes all of the pod's folder. Raises OSError."""
        self._pods.pop(uid, None)
        await asyncio.to_thread(remove_tree, self.pod_folder(uid))

    async def leftovers(self) -> list[str]:
        """UIDs that still have a folder."""
        return await asyncio.to_thread(lambda: [p.name for p in self._root.iterdir()] if self._root.exists() else [])


def plugin_name(kind: str) -> str:
    """Upstream's name of what mounts volumes of this kind; empty for claims, which may be of any."""
    if kind in _CLAIMS:
        return ""
    folder = PAYLOADS[kind][0] if kind in PAYLOADS else _FOLDERS.get(kind, f"kubernetes.io~{kind}")
    return folder.replace("~", "/")


def used_volumes(pod: Object) -> frozenset[str]:
    """Names of the volumes that containers mount, have as devices, or read variables from."""
    found: set[str] = set()
    for container in podspec.all_containers(pod):
        found |= {m["name"] for field in ("volumeMounts", "volumeDevices") for m in container.get(field) or ()}
        files = ((e.get("valueFrom") or {}).get("fileKeyRef") for e in container.get("env") or ())
        found |= {f["volumeName"] for f in files if f}
    return frozenset(found)


def _put_in_memory(folder: Path, size: int) -> None:
    """A tmpfs at the folder, once. A folder that holds files already stays: containers have it mounted. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_mounted(folder) or any(folder.iterdir()):
        return
    try:
        mount_tmpfs(folder, size)
    except PermissionError:
        log.warning("This process may not mount: %s is on disk instead of in memory", folder)


def _source(volume: Object) -> tuple[str, Mapping[str, Any]]:
    """The kind of a volume and its fields; a volume without any is an emptyDir."""
    for kind, source in volume.items():
        if kind != "name":
            return kind, source or {}
    return "emptyDir", {}
