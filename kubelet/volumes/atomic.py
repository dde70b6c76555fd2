"""Writes a volume's files so that readers see all of the old or all of the new ones.

Files live in a timestamped folder, ``..data`` is a symlink to it that one rename moves, and the visible names are
symlinks through ``..data`` (the layout of pkg/volume/util/atomic_writer.go, which programs watch for).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from kubelet.volumes.base import Payload

_DATA, _NEW_DATA = "..data", "..data_tmp"


def read_back(folder: Path) -> dict[str, bytes]:
    """What the folder shows now, by path; empty when nothing was written."""
    data = folder / _DATA
    if not data.exists():
        return {}
    return {str(p.relative_to(data)): p.read_bytes() for p in data.rglob("*") if p.is_file()}


def write_payload(folder: Path, payload: Payload, group: int | None) -> bool:
    """Makes the folder show exactly the payload; False when it did already. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755 if group is None else 0o2775)
    if (folder / _DATA).exists() and read_back(folder) == {k: f.data for k, f in payload.items()}:
        return False
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime())
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=folder))
    fresh.chmod(0o755)
    for name, content in payload.items():
        _write(fresh / name, content.data, content.mode, content.owner, group)
    _own(fresh, None, group)
    old = folder / _DATA
    previous = folder / old.readlink() if old.is_symlink() else None
    pending = folder / _NEW_DATA
    pending.unlink(missing_ok=True)
    pending.symlink_to(fresh.name)
    pending.rename(old)
    _show(folder, {name.split("/")[0] for name in payload})
    if previous is not None:
        shutil.rmtree(previous, ignore_errors=True)
    return True


def _write(path: Path, data: bytes, mode: int, owner: int | None, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode if group is None else mode | 0o440)
    _own(path, owner, group)


def _own(path: Path, owner: int | None, group: int | None) -> None:
    if owner is not None or group is not None:
        os.chown(path, -1 if owner is None else owner, -1 if group is None else group)


def _show(folder: Path, names: set[str]) -> None:
    """The visible symlinks: those that are missing made, stale ones removed."""
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
