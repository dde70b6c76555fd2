"""fsGroup: a volume's files belong to the pod's group (pkg/volume/volume_linux.go)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FILE_BITS, _EXECUTE_BITS = 0o660, 0o110


def set_group(root: Path, group: int, *, on_root_mismatch: bool = False) -> None:
    """Gives the tree to the group, readable and writable, folders with the set-group-id bit.

    ``on_root_mismatch`` leaves a tree alone whose root is right already. Raises OSError.
    """
    if on_root_mismatch and _is_right(root, group):
        return
    for folder, _, files in os.walk(root):
        for name in files:
            _own(Path(folder) / name, group, folder=False)
        _own(Path(folder), group, folder=True)


def _is_right(root: Path, group: int) -> bool:
    found = root.stat()
    return found.st_gid == group and bool(found.st_mode & stat.S_ISGID) and found.st_mode & _FILE_BITS == _FILE_BITS


def _own(path: Path, group: int, *, folder: bool) -> None:
    if path.is_symlink():
        os.lchown(path, -1, group)
        return
    os.chown(path, -1, group)
    extra = stat.S_ISGID | _EXECUTE_BITS if folder else 0
    path.chmod(stat.S_IMODE(path.stat().st_mode) | _FILE_BITS | extra)
