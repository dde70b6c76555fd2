"""Image volumes: the file system of an image, read-only and without execution.

The image is pulled when a container that mounts the volume starts, by the image manager and with its words (kuberuntime's
getImageVolumes); nothing has to be there before.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kubelet.containers.build import VolumePath
from kubelet.runtime.records import ImageRecord
from kubelet.volumes.base import Context
from kubelet.volumes.mounts import bind, is_mounted, mount_filesystem, restrict

log = logging.getLogger(__name__)


class ImageSource:
    """``image``. The path is the folder below which each image that the reference comes to has its own."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        return VolumePath(str(context.folder), read_only=True, image=True)


def image_key(image_id: str) -> str:
    """The name of the folder that shows an image."""
    return image_id.removeprefix("sha256:")[:16]


def mounted_images(pods_folder: Path) -> set[str]:
    """Keys of the images that pods' volumes show."""
    return {path.name for path in pods_folder.glob("*/volumes/kubernetes.io~image/*/*")}


class Layers(Protocol):
    """What of the runtime is needed here."""

    async def image_layers(self, image_id: str) -> Sequence[str]:
        """Folders of the image's layers on this machine, the uppermost first; empty where the engine keeps them otherwise."""
        ...

    async def extract_image(self, name: str, folder: str) -> None: ...


class ImageVolumes:
    """Makes images' files visible. ``may_mount`` False where nothing reads them."""

    def __init__(self, runtime: Layers, *, may_mount: bool = True) -> None:
        self._runtime, self._may_mount = runtime, may_mount

    async def prepare(self, folder: Path, image: ImageRecord) -> VolumePath:
        """The image's files, below the volume's folder. Raises RuntimeFailure and OSError."""
        target = folder / image_key(image.id)
        if not self._may_mount:
            return VolumePath(str(target), read_only=True)
        layers = await self._runtime.image_layers(image.id)
        if await asyncio.to_thread(_show, target, layers):
            return VolumePath(str(target), read_only=True, sealed=True)
        await self._copy(target, image)
        sealed = await asyncio.to_thread(_seal, target)
        return VolumePath(str(target), read_only=True, sealed=sealed)

    async def _copy(self, target: Path, image: ImageRecord) -> None:
        """For layers that cannot be mounted: an engine with another storage driver, or whose files are not here."""
        complete = target.with_name(target.name + ".complete")
        if not await asyncio.to_thread(complete.exists):
            await self._runtime.extract_image(image.id, str(target))
            await asyncio.to_thread(complete.touch)


def _show(target: Path, layers: Sequence[str]) -> bool:
    """Mounts the layers over each other; whether they are mounted now."""
    target.mkdir(parents=True, exist_ok=True)
    if is_mounted(target):
        return True
    if not layers or not all(Path(layer).is_dir() for layer in layers):
        return False
    try:
        if len(layers) == 1:  # the kernel makes no overlay of one
            bind(layers[0], target)
        else:
            mount_filesystem("overlay", target, "overlay", "lowerdir=" + ":".join(layers))
    except OSError as err:
        log.info("An image's layers cannot be mounted, they are copied: %s", err)
        return False
    return _seal(target)


def _seal(target: Path) -> bool:
    """Read-only and without execution; False where this process may not do that."""
    try:
        if not is_mounted(target):
            bind(target, target)
        restrict(target, no_exec=True)
    except OSError as err:
        if err.errno not in (errno.EPERM, errno.ENOSYS):
            raise
        log.warning("%s could be executed from: %s", target, err)
        return False
    return True
