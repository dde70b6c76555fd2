"""emptyDir: a folder, or memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.volumes.base import Context, VolumeError
from kubelet.volumes.mounts import is_mounted, mount_tmpfs, remove_tree
from kubelet.volumes.ownership import set_group
from kubeling.api import quantity


class EmptyDirSource:
    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        size = quantity.parse(source["sizeLimit"]).integer() if source.get("sizeLimit") else 0
        try:
            await asyncio.to_thread(_make, context.folder, source.get("medium") or "", size, context.fs_group)
        except OSError as err:
            raise VolumeError(str(err)) from err
        return VolumePath(str(context.folder))

    async def tear_down(self, folder: Path) -> None:
        await asyncio.to_thread(remove_tree, folder)


def _make(folder: Path, medium: str, size: int, group: int | None) -> None:
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if medium == "Memory" and not is_mounted(folder):
        mount_tmpfs(folder, size)
        made = True  # after a reboot too: the folder stayed, what was mounted there did not
    elif medium not in ("", "Memory"):
        raise OSError(f'unknown storage medium "{medium}"')
    if made:
        os.chmod(folder, 0o777)  # noqa: PTH101  # the umask must not take anything away
        if group is not None:
            set_group(folder, group)
