"""What a container mounts of a volume: a part of it, or all of it so that nothing in it can be written to.

Containers may put symlinks into their volumes and swap them at any time. A sub path is therefore resolved once, checked to lie
inside the volume, opened step by step without following anything, and bound by its handle to a place of the kubelet's own; that
place is what the engine is given (pkg/volume/util/subpath).
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelet.containers.failure import ConfigError
from kubelet.runtime.specs import Mount
from kubelet.volumes.mounts import bind, is_mounted, restrict, unmount

log = logging.getLogger(__name__)
FOLDER = "volume-subpaths"


@dataclass(frozen=True, slots=True)
class Part:
    """One mount of a container: ``mount`` would show all of the volume, ``sub_path`` (maybe empty) is what it asks for.
    ``place`` is where the kubelet may bind it. ``grows``: a missing folder is made."""

    volume: str
    container: str
    mount: Mount
    sub_path: str
    place: Path
    grows: bool = True


def prepare(part: Part, *, may_mount: bool) -> Mount:
    """The mount to give to the engine. Raises ConfigError, whose message tells nothing of the host's files."""
    mount = part.mount
    if part.sub_path:
        mount = _prepare_sub_path(part, may_mount=may_mount)
    if mount.recursive_read_only and may_mount:
        mount = _prepare_read_only(part, mount)
    return mount


def _prepare_sub_path(part: Part, *, may_mount: bool) -> Mount:
    path = part.sub_path
    if path.startswith("/"):
        raise ConfigError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigError(f"unable to provision SubPath `{path}`: must not contain '..'")
    what = f'volumeMount "{part.volume}" of container "{part.container}"'
    root = os.path.realpath(part.mount.source)
    if part.grows and not os.path.exists(os.path.join(root, path)):  # noqa: PTH110, PTH118  # through links, as written
        try:
            _make_folders(root, path)
        except (OSError, ValueError) as err:
            log.warning("Pod's sub path %s in %s: %s", path, root, err)
            raise ConfigError(f"failed to create subPath directory for {what}") from err
    try:
        source = _bind_safely(root, path, part.place) if may_mount else str(_resolved(root, path))
    except (OSError, ValueError) as err:
        log.warning("Pod's sub path %s in %s: %s", path, root, err)
        raise ConfigError(f"failed to prepare subPath for {what}") from err
    return dataclasses.replace(part.mount, source=source)


def _resolved(root: str, path: str) -> Path:
    """The path without symlinks. Raises ValueError when it leads out of the volume, OSError when there is no such path."""
    found = Path(root, path).resolve(strict=True)
    if not found.is_relative_to(root):
        raise ValueError(f"subpath {str(found)!r} not within volume path {root!r}")
    return found


def _step(name: str, folder: int) -> int:
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _open_safely(root: str, steps: tuple[str, ...]) -> int:
    """A handle of what lies that many steps below the root, no step of which is a symlink now. Raises OSError."""
    handle = os.open(root, os.O_PATH | os.O_CLOEXEC)
    for name in steps:
        try:
            inner = _step(name, handle)
        finally:
            os.close(handle)
        handle = inner
        if stat.S_ISLNK(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.ELOOP, f"unexpected symlink: {name}")
    return handle


def _make_folders(root: str, path: str) -> None:
    """The missing folders of the path, with the volume's mode whatever the umask. Raises OSError and ValueError."""
    mode = stat.S_IMODE(Path(root).stat().st_mode)
    steps = [step for step in path.split("/") if step not in ("", ".")]
    present = Path(root)
    while steps and (present / steps[0]).exists():
        present /= steps.pop(0)
    inside = _resolved(root, str(present.relative_to(root)))
    handle = _open_safely(root, inside.relative_to(root).parts)
    try:
        for name in steps:
            os.mkdir(name, 0o700, dir_fd=handle)
            inner = _step(name, handle)
            os.close(handle)
            handle = inner
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.ENOTDIR, f"{name} is no longer a folder")
            os.chmod(f"/proc/self/fd/{handle}", mode)  # noqa: PTH101  # a handle, not a path
    finally:
        os.close(handle)


def _bind_safely(root: str, path: str, place: Path) -> str:
    handle = _open_safely(root, _resolved(root, path).relative_to(root).parts)
    try:
        _clear(place, folder=stat.S_ISDIR(os.fstat(handle).st_mode))
        try:
            bind(f"/proc/self/fd/{handle}", place)
        except PermissionError as err:  # this process may not mount: the engine gets the path
            log.warning("A sub path is mounted by its path: %s", err)
            return str(Path(f"/proc/self/fd/{handle}").readlink())
    finally:
        os.close(handle)
    return str(place)


def _clear(place: Path, *, folder: bool) -> None:
    """Makes room for a mount: an earlier run's goes (containers keep what they have), a file or a folder takes its place."""
    while is_mounted(place):
        unmount(place)
    if place.is_dir():
        place.rmdir()
    else:
        place.unlink(missing_ok=True)
    place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if folder:
        place.mkdir(mode=0o750)
    else:
        place.touch(mode=0o640)


def _prepare_read_only(part: Part, mount: Mount) -> Mount:
    """A mount of our own, read-only all the way down; the engine by itself would do that for the uppermost only."""
    try:
        if mount.source != str(part.place):
            _clear(part.place, folder=Path(mount.source).is_dir())
            bind(mount.source, part.place, recursive=True)
        restrict(part.place)
    except OSError as err:
        log.warning("Recursive read-only mount of %s: %s", mount.source, err)
        raise ConfigError(
            f'failed to prepare recursive read-only mount for volumeMount "{part.volume}" of container "{part.container}"'
        ) from err
    return dataclasses.replace(mount, source=str(part.place))


def recursive_read_only(mount: Mapping[str, Any], *, supported: bool) -> bool:
    """Whether a container's mount is to be read-only all the way down. Raises ConfigError with upstream's message."""
    mode = mount.get("recursiveReadOnly") or "Disabled"
    if mode == "Disabled":
        return False
    failure = f'failed to resolve recursive read-only mode: volume "{mount["name"]}" requested recursive read-only mode, but it is'
    if not mount.get("readOnly"):
        raise ConfigError(f"{failure} not read-only")
    propagation = mount.get("mountPropagation") or "None"
    if propagation != "None":
        raise ConfigError(f'{failure} not compatible with propagation "{propagation}"')
    if mode == "Enabled" and not supported:
        raise ConfigError(f"{failure} not supported by the runtime")
    return supported
