"""Mounts of the kubelet's own, by system call."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

_MNT_DETACH = 2
_MS_BIND, _MS_REC = 0x1000, 0x4000
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: Path, kind: str, flags: int, data: str) -> None:
    if _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, data.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount {kind or source} at {target}: {os.strerror(code)}")


def mount_tmpfs(folder: Path, size: int) -> None:
    """Memory at the folder, at most ``size`` bytes (0: half of the machine's). Raises OSError."""
    _mount("tmpfs", folder, "tmpfs", 0, f"mode=0777,size={size}" if size else "mode=0777")


def mount_filesystem(source: str, folder: Path, kind: str, options: str) -> None:
    """Any other file system. Raises OSError."""
    _mount(source, folder, kind, 0, options)


def mounted_below(folder: Path) -> list[Path]:
    """Mount points at or below the folder, deepest first."""
    root = str(folder)
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    decoded = [p.encode().decode("unicode_escape") if "\\" in p else p for p in points]
    return sorted((Path(p) for p in decoded if p == root or p.startswith(root + "/")), key=str, reverse=True)


def is_mounted(folder: Path) -> bool:
    return folder in mounted_below(folder)


def unmount(folder: Path) -> None:
    """Raises OSError."""
    if _libc.umount2(os.fsencode(folder), _MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot unmount {folder}: {os.strerror(code)}")


def remove_tree(folder: Path) -> None:
    """Unmounts all below the folder, then removes it. Nothing is removed while anything is mounted. Raises OSError."""
    if not folder.exists():
        return
    for point in mounted_below(folder):
        unmount(point)
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=False)
    else:
        folder.unlink()
