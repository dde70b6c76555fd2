"""The kinds of persistent volumes that this node mounts: hostPath, local and NFS, declared in ``PERSISTENT``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubelet.containers.build import VolumePath
from kubelet.volumes.base import Context, VolumeError
from kubelet.volumes.hostpath import prepare_host_path
from kubelet.volumes.mountprogram import DEFAULT_FILE_SYSTEM, mount, mount_device
from kubelet.volumes.ownership import set_group

_BLOCK = "FailedMapVolume"


@dataclass(frozen=True, slots=True)
class Bound:
    """A volume as one pod uses it: ``source`` is its own description, ``read_only`` the claim's wish."""

    name: str
    source: Mapping[str, Any]
    read_only: bool = False
    block: bool = False
    options: tuple[str, ...] = ()


class PersistentSource(Protocol):
    """``plugin`` is upstream's name of it."""

    plugin: str
    takes_options: bool

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        """Raises VolumeError and OSError."""
        ...


class HostPathVolume:
    plugin = "kubernetes.io/host-path"
    takes_options = False

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        path = volume.source["path"]
        if volume.block:
            raise VolumeError(
                "no volume plugin matched", step="MapVolume.FindMapperPluginBySpec", reason=_BLOCK, volume=volume.name
            )
        await asyncio.to_thread(prepare_host_path, Path(path), volume.source.get("type") or "")
        return VolumePath(path, volume.read_only, persistent=volume.name)


class LocalVolume:
    plugin = "kubernetes.io/local-volume"
    takes_options = True

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        path = Path(volume.source["path"])
        device = await asyncio.to_thread(_is_device, path, volume.block)
        if volume.block:
            return VolumePath(str(path), volume.read_only, block=True, persistent=volume.name)
        read_only = ["ro"] if volume.read_only else []
        if device:
            kind = volume.source.get("fsType") or DEFAULT_FILE_SYSTEM
            await mount_device(str(path), context.folder, kind, sorted({*volume.options, *read_only}))
            path = context.folder
        elif volume.options:
            await mount(str(path), context.folder, "", sorted({"bind", *volume.options, *read_only}))
            path = context.folder
        await asyncio.to_thread(_own, path, context, volume)
        return VolumePath(str(path), volume.read_only, persistent=volume.name)


def _is_device(path: Path, block: bool) -> bool:
    """Whether a block device is there. Raises VolumeError where nothing is, and where a device has to be."""
    found = path.is_block_device()
    if block and not found:
        why = f"{path} is not a block device" if path.exists() else f'path "{path}" does not exist'
        raise VolumeError(why, step="MapVolume.MapPodDevice", reason=_BLOCK)
    if not path.exists():
        raise VolumeError(f'path "{path}" does not exist', step="MountVolume.NewMounter initialization")
    return found


def _own(path: Path, context: Context, volume: Bound) -> None:
    """The first pod's group holds as long as anybody uses the volume."""
    group = context.fs_group
    if group is None or volume.read_only:
        return
    if volume.name not in context.others:
        set_group(path, group, on_root_mismatch=context.on_root_mismatch)
    elif (owner := path.stat().st_gid) != group:
        context.warn(
            "AlreadyMountedVolume",
            f"The requested fsGroup is {group}, but the volume {volume.name} has GID {owner}. "
            "The volume may not be shareable.",
        )


class NfsVolume:
    """By the machine's own client."""

    plugin = "kubernetes.io/nfs"
    takes_options = True

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        source = volume.source
        read_only = volume.read_only or bool(source.get("readOnly"))
        options = sorted({*volume.options, *(["ro"] if read_only else [])})
        server = f"[{source['server']}]" if ":" in source["server"] else source["server"]
        await mount(f"{server}:{source['path']}", context.folder, "nfs", options)
        return VolumePath(str(context.folder), read_only, persistent=volume.name)


class NfsSource:
    """``nfs`` in a pod's own volumes."""

    def __init__(self) -> None:
        self._volume = NfsVolume()

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        return await self._volume.mount(context, Bound("", source))


PERSISTENT: Mapping[str, PersistentSource] = {"hostPath": HostPathVolume(), "local": LocalVolume(), "nfs": NfsVolume()}
