"""Mounts of the kubelet's own, by system call."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
import uuid
from pathlib import Path

_MNT_DETACH = 2
_MS_BIND, _MS_REC = 0x1000, 0x4000
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_ATTR_RDONLY, _ATTR_NOEXEC, _MS_PRIVATE = 0x1, 0x8, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _mount(source: str, target: Path, kind: str, flags: int, data: str) -> None:
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(data)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount {kind or source} at {target}: {os.strerror(code)}")


def mount_tmpfs(folder: Path, size: int) -> None:
    """Memory at the folder, at most ``size`` bytes (0: half of the machine's), never swapped where the kernel can promise
    that; everybody may write, with the sticky bit, which is how the kernel makes it. Raises OSError."""
    options = f"size={size}" if size else ""
    try:
        _mount("tmpfs", folder, "tmpfs", 0, ",".join(filter(None, (options, "noswap"))))
    except OSError as err:
        if err.errno != errno.EINVAL:  # before Linux 6.4 there was no such option
            raise
        _mount("tmpfs", folder, "tmpfs", 0, options)


def mount_filesystem(source: str, folder: Path, kind: str, options: str) -> None:
    """Any other file system. Raises OSError."""
    _mount(source, folder, kind, 0, options)


def bind(source: Path | str, target: Path, *, recursive: bool = False) -> None:
    """Shows a folder or file at another place, without or with what is mounted below it. Raises OSError."""
    _mount(str(source), target, "", _MS_BIND | (_MS_REC if recursive else 0), "")


def restrict(target: Path, *, no_exec: bool = False) -> None:
    """Makes the mount and all mounts below it private and read-only, whatever is mounted above. Raises OSError:
    ENOSYS before Linux 5.12."""
    attributes = _MountAttr(_ATTR_RDONLY | (_ATTR_NOEXEC if no_exec else 0), 0, _MS_PRIVATE, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    path = os.fsencode(target)
    if _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, ctypes.byref(attributes), size) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot make {target} read-only: {os.strerror(code)}")


def can_restrict() -> bool:
    """Whether the kernel knows mount_setattr(2), and lets us use it: asked for no change, it makes none."""
    attributes = _MountAttr()
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    return bool(_libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, b"/proc", 0, ctypes.byref(attributes), size) == 0)


def mounted_below(folder: Path) -> list[Path]:
    """Mount points at or below the folder, deepest first; one that is mounted over several times comes as often."""
    root = str(folder)
    lines = Path("/proc/self/mounts").read_bytes().splitlines()
    points = [os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), line.split()[1])) for line in lines]
    return sorted((Path(p) for p in points if p == root or p.startswith(root + "/")), key=str, reverse=True)


def is_mounted(folder: Path) -> bool:
    return folder in mounted_below(folder)


def unmount(folder: Path) -> None:
    """Raises OSError."""
    if _libc.umount2(os.fsencode(folder), _MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot unmount {folder}: {os.strerror(code)}")


def remove_tree(folder: Path) -> None:
    """Unmounts all below the folder, then removes it. Nothing is removed while anything is mounted. Raises OSError."""
    if not folder.is_symlink() and not folder.exists():
        return
    for point in mounted_below(folder):
        unmount(point)
    if left := mounted_below(folder):
        raise OSError(errno.EBUSY, f"{left[0]} is still mounted")
    if not folder.is_dir() or folder.is_symlink():
        folder.unlink()
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _empty(handle)
    finally:
        os.close(handle)
    folder.rmdir()


def _empty(folder: int) -> None:
    """Removes what is in the folder. Folders in folders are moved up first, so that no depth is too deep; nothing of another
    file system is touched, and no symlink followed."""
    device, number, prefix = os.fstat(folder).st_dev, 0, f"..removed-{uuid.uuid4().hex}-"
    while names := _names(folder):
        for name in names:
            if not _is_folder(name, folder):
                os.unlink(name, dir_fd=folder)
                continue
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                if os.fstat(inner).st_dev != device:
                    raise OSError(errno.EXDEV, f"{name} is on another file system")
                for below in _names(inner):
                    if _is_folder(below, inner):
                        number += 1
                        os.rename(below, f"{prefix}{number}", src_dir_fd=inner, dst_dir_fd=folder)
                    else:
                        os.unlink(below, dir_fd=inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _is_folder(name: str, folder: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
