"""hostPath, with all its types (pkg/volume/hostpath)."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.volumes.base import Context, VolumeError

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
_CHECKS: Mapping[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


class HostPathSource:
    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        await asyncio.to_thread(prepare_host_path, Path(source["path"]), source.get("type") or "")
        return VolumePath(source["path"])


def prepare_host_path(path: Path, kind: str) -> None:
    """Makes what ``...OrCreate`` asks for, then checks the type. Raises VolumeError with upstream's message."""
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(mode=_FOLDER_MODE, parents=True)
    elif kind == "FileOrCreate" and not path.exists():
        if not path.parent.is_dir():
            raise VolumeError(f"open {path}: no such file or directory")
        path.touch(mode=_FILE_MODE)
    elif not kind:
        if not path.exists():  # Docker refuses to bind what is not there; upstream's runtimes make a folder
            path.mkdir(mode=_FOLDER_MODE, parents=True)
        return
    check, what = _CHECKS[kind]
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if not check(mode):
        raise VolumeError(f"hostPath type check failed: {path} is not {what}")
