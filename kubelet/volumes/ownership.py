"""fsGroup: a volume's files belong to the pod's group (pkg/volume/volume_linux.go).

Containers may rename things while we look: nothing here follows a symlink below the volume's root.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_WRITABLE, _READABLE, _EXECUTE_BITS = 0o660, 0o440, 0o110


def set_group(root: Path, group: int, *, on_root_mismatch: bool = False, read_only: bool = False) -> None:
    """Gives the tree to the group, readable and (unless ``read_only``) writable, folders with the set-group-id bit.

    ``on_root_mismatch`` leaves a tree alone whose root is right already. Raises OSError.
    """
    bits = _READABLE if read_only else _WRITABLE
    if on_root_mismatch and _is_right(root.stat(), group, bits):
        return
    if not root.is_dir():  # a volume may be one file
        _own_entry(str(root), None, group, bits)
        return
    pending = [os.open(root, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        while pending:
            folder = pending.pop()
            try:
                pending += _own_folder(folder, group, bits)
            finally:
                os.close(folder)
    finally:
        for folder in pending:
            os.close(folder)


def _is_right(found: os.stat_result, group: int, bits: int) -> bool:
    wanted = bits | (_EXECUTE_BITS | stat.S_ISGID if stat.S_ISDIR(found.st_mode) else 0)
    return found.st_gid == group and found.st_mode & wanted == wanted


def _own_folder(folder: int, group: int, bits: int) -> list[int]:
    """One folder and what is directly in it; its folders, opened."""
    inner: list[int] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder))
                else:
                    _own_entry(entry.name, folder, group, bits)
        mode = stat.S_IMODE(os.fstat(folder).st_mode)
        os.fchown(folder, -1, group)
        os.fchmod(folder, mode | bits | _EXECUTE_BITS | stat.S_ISGID)
    except BaseException:
        for opened in inner:
            os.close(opened)
        raise
    return inner


def _own_entry(name: str, folder: int | None, group: int, bits: int) -> None:
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
    try:
        mode = os.fstat(handle).st_mode
        os.chown(name, -1, group, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISLNK(mode):
            os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(mode) | bits)  # noqa: PTH101  # a handle, not a path
    finally:
        os.close(handle)
