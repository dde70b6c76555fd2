"""Writes a volume's files so that readers see all of the old or all of the new ones.

Files live in a timestamped folder, ``..data`` is a symlink to it that one rename moves, and the visible names are
symlinks through ``..data`` (the layout of pkg/volume/util/atomic_writer.go, which programs watch for).
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from kubelet.volumes.base import Payload, VolumeError
from kubelet.volumes.ownership import set_group

_DATA, _NEW_DATA = "..data", "..data_tmp"
_FOLDER_MODE = 0o777
_PATH_LIMIT, _NAME_LIMIT = 4096, 255


def read_back(folder: Path) -> dict[str, bytes]:
    """What the folder shows now, by path; empty when nothing was written."""
    data = folder / _DATA
    if not data.exists():
        return {}
    return {str(p.relative_to(data)): p.read_bytes() for p in data.rglob("*") if p.is_file()}


def write_payload(folder: Path, payload: Payload, group: int | None) -> bool:
    """Makes the folder show exactly the payload; False when it did already. Raises OSError, and VolumeError for a path that
    would lead out of the folder."""
    for name in payload:
        _check(name)
    folder.mkdir(parents=True, exist_ok=True)
    if group is None and stat.S_IMODE(folder.stat().st_mode) & _FOLDER_MODE != _FOLDER_MODE:
        folder.chmod(_FOLDER_MODE)  # whatever the umask took away
    if (folder / _DATA).exists() and read_back(folder) == {k: f.data for k, f in payload.items()}:
        return False
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime())
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=folder))
    fresh.chmod(0o755)
    for name, content in payload.items():
        _write(fresh / name, content.data, content.mode, content.owner)
    if group is not None:
        folder.chmod(_FOLDER_MODE | stat.S_IMODE(folder.stat().st_mode))
        set_group(folder, group, read_only=True)  # before anybody sees the new files
    pending = folder / _NEW_DATA
    pending.unlink(missing_ok=True)
    pending.symlink_to(fresh.name)
    pending.rename(folder / _DATA)
    _show(folder, {name.split("/")[0] for name in payload})
    for stale in folder.glob("..[0-9]*"):  # the version before, and what a kubelet that died had begun
        if stale != fresh:
            shutil.rmtree(stale, ignore_errors=True)
    return True


def _check(name: str) -> None:
    """The API server lets no such path in; manifests of static pods did not pass through it."""
    if not name:
        raise VolumeError("invalid path: must not be empty")
    if name.startswith("/"):
        raise VolumeError(f"invalid path: must be relative path: {name}")
    if len(name) > _PATH_LIMIT or any(len(part) > _NAME_LIMIT for part in name.split("/")):
        raise VolumeError(f"invalid path: too long: {name}")
    if ".." in name.split("/"):
        raise VolumeError(f"invalid path: must not contain '..': {name}")
    if name.startswith(".."):
        raise VolumeError(f"invalid path: must not start with '..': {name}")


def _write(path: Path, data: bytes, mode: int, owner: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, -1)


def _show(folder: Path, names: set[str]) -> None:
    """The visible symlinks: those that are missing made, stale ones removed."""
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
