"""Sub paths of volumes, resolved so that no symlink leads out of the volume (pkg/volume/util/subpath)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kubelet.containers.failure import ConfigError
from kubelet.runtime.specs import Mount


def prepare_sub_path(mount: Mount, sub_path: str) -> Mount:
    """The mount of ``sub_path`` below the mount's source; a missing folder is made. Raises ConfigError."""
    if ".." in sub_path.split("/"):
        raise ConfigError(f"must not contain '..' : subPath {sub_path!r}")
    root = Path(mount.source).resolve()
    wanted = root / sub_path
    try:
        if not wanted.exists():
            _inside(root, wanted.parent.resolve(), sub_path)
            wanted.mkdir(parents=True, mode=0o755)
            wanted.chmod(root.stat().st_mode & 0o7777)
        found = wanted.resolve(strict=True)
    except OSError as err:
        raise ConfigError(f"failed to prepare subPath for volumeMount at {mount.target!r}: {err}") from err
    _inside(root, found, sub_path)
    return dataclasses.replace(mount, source=str(found))


def _inside(root: Path, path: Path, sub_path: str) -> None:
    if path != root and root not in path.parents:
        raise ConfigError(f"subPath {sub_path!r} leads outside of its volume")
