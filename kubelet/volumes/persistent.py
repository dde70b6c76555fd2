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
from kubelet.volumes.mounts import is_mounted
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
    takes_options: bool

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        """Raises VolumeError and OSError."""
        ...


class HostPathVolume:
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
    takes_options = True

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        path = Path(volume.source["path"])
        if volume.block:
            return await asyncio.to_thread(self._device, path, volume)
        await asyncio.to_thread(self._own, path, context, volume)
        if volume.options:
            options = sorted({"bind", *volume.options, *(["ro"] if volume.read_only else [])})
            await mount(str(path), context.folder, "", options)
            path = context.folder
        return VolumePath(str(path), volume.read_only, persistent=volume.name)

    @staticmethod
    def _device(path: Path, volume: Bound) -> VolumePath:
        if not path.is_block_device():
            why = f"{path} is not a block device" if path.exists() else f'path "{path}" does not exist'
            raise VolumeError(why, step="MapVolume.MapPodDevice", reason=_BLOCK)
        return VolumePath(str(path), volume.read_only, block=True, persistent=volume.name)

    @staticmethod
    def _own(path: Path, context: Context, volume: Bound) -> None:
        if not path.exists():
            raise VolumeError(f'path "{path}" does not exist', step="MountVolume.NewMounter initialization")
        if path.is_block_device():
            raise VolumeError(f"{path} is a block device: this kubelet makes no file system on it")
        group = context.fs_group
        if group is None or volume.read_only:
            return
        if volume.name not in context.others:  # the first pod's group holds as long as anybody uses the volume
            set_group(path, group, on_root_mismatch=context.on_root_mismatch)
        elif (owner := path.stat().st_gid) != group:
            context.warn(
                "AlreadyMountedVolume",
                f"The requested fsGroup is {group}, but the volume {volume.name} has GID {owner}. "
                "The volume may not be shareable.",
            )


class NfsVolume:
    """By the machine's own client."""

    takes_options = True

    async def mount(self, context: Context, volume: Bound) -> VolumePath:
        source = volume.source
        read_only = volume.read_only or bool(source.get("readOnly"))
        options = sorted({*volume.options, *(["ro"] if read_only else [])})
        server = f"[{source['server']}]" if ":" in source["server"] else source["server"]
        await mount(f"{server}:{source['path']}", context.folder, "nfs", options)
        return VolumePath(str(context.folder), read_only, persistent=volume.name)


def mount_arguments(source: str, target: Path, kind: str, options: list[str]) -> list[str]:
    """What mount(8) is given."""
    return [*(["-t", kind] if kind else []), *(["-o", ",".join(options)] if options else []), source, str(target)]


async def mount(source: str, target: Path, kind: str, options: list[str]) -> None:
    """Runs mount(8), which knows helpers and options; nothing where it is mounted already. Raises VolumeError with upstream's
    message."""
    if await asyncio.to_thread(is_mounted, target):
        return
    await asyncio.to_thread(target.mkdir, mode=0o750, parents=True, exist_ok=True)
    arguments = mount_arguments(source, target, kind, options)
    try:
        process = await asyncio.create_subprocess_exec(
            "mount", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as err:
        raise VolumeError(f"mount failed: {err}") from err
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # the pod is to end: nobody waits for the server any more
            process.kill()
    if process.returncode:
        await asyncio.to_thread(target.rmdir)
        raise VolumeError(
            f"mount failed: exit status {process.returncode}\nMounting command: mount\n"
            f"Mounting arguments: {' '.join(arguments)}\nOutput: {output.decode(errors='replace')}\n"
        )


class NfsSource:
    """``nfs`` in a pod's own volumes."""

    def __init__(self) -> None:
        self._volume = NfsVolume()

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        return await self._volume.mount(context, Bound("", source))


PERSISTENT: Mapping[str, PersistentSource] = {"hostPath": HostPathVolume(), "local": LocalVolume(), "nfs": NfsVolume()}
