"""Image volumes: the file system of an image, read only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.volumes.base import Context, VolumeError
from kubelet.volumes.mounts import remove_tree


class ImageSource:
    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        reference = source.get("reference") or ""
        complete = context.folder.with_name(context.folder.name + ".complete")
        try:
            if not await asyncio.to_thread(complete.exists):
                present = await context.runtime.image(reference) is not None
                policy = source.get("pullPolicy") or "IfNotPresent"
                if policy == "Always" or (not present and policy != "Never"):
                    await context.runtime.pull(reference, None)
                await asyncio.to_thread(context.folder.mkdir, parents=True, exist_ok=True)
                await context.runtime.extract_image(reference, str(context.folder))
                await asyncio.to_thread(complete.touch)
        except (RuntimeFailure, OSError) as err:
            raise VolumeError(f"failed to prepare image {reference!r}: {err}") from err
        return VolumePath(str(context.folder), read_only=True)

    async def tear_down(self, folder: Path) -> None:
        await asyncio.to_thread(remove_tree, folder)
