"""The machine's control groups as files: where they are mounted, and taking a part of the tree away.

A process in a container sees its own part of the tree at best. Where it may look at the machine's first process, or at the engine's
that began it, their mounts are the machine's (proc(5), cgroups(7)).
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True, slots=True)
class CgroupMounts:
    """``controllers``: folder by controller; with version 2 all of them share one. ``folders``: every hierarchy's root."""

    version: int
    controllers: dict[str, Path]
    folders: tuple[Path, ...]


def parse_mounts(mountinfo: str, before: str = "") -> CgroupMounts | None:
    """From the text of /proc/PID/mountinfo; ``before`` is put in front of every path. None where nothing can be written."""
    first: dict[str, Path] = {}
    unified: Path | None = None
    folders: list[Path] = []
    for line in mountinfo.splitlines():
        front, _, back = line.partition(" - ")
        fields, kind, options = front.split(" "), back.split(" ")[0], back.split(" ")[-1].split(",")
        if kind not in ("cgroup", "cgroup2") or "ro" in fields[5].split(","):
            continue
        if fields[3].strip("/.") and not before:
            return None  # a part of the tree only
        folder = Path(before + fields[4].encode().decode("unicode_escape"))
        folders.append(folder)
        if kind == "cgroup2":
            unified = folder
        else:
            first |= {name: folder for name in options if name.isalpha() and name not in ("rw", "xattr")}
    if first:
        return CgroupMounts(1, first, tuple(folders))
    return CgroupMounts(2, {"": unified}, tuple(folders)) if unified else None


def cgroup_mounts() -> CgroupMounts | None:
    """The machine's, or None where this process cannot reach them."""
    proc = Path("/proc")
    own = (proc / "self/ns/mnt").readlink()
    for process in (proc / "1", *_ancestors(proc)):
        try:
            away = (process / "ns/mnt").readlink() != own
            found = parse_mounts((process / "mountinfo").read_text(), f"{process}/root") if away else None
            if found is not None and all(folder.is_dir() for folder in found.folders):
                return found
        except OSError:  # not for this process's eyes
            continue
    return parse_mounts((proc / "self/mountinfo").read_text())


def _ancestors(proc: Path) -> Iterator[Path]:
    parent = os.getppid()
    while parent > 1:
        yield proc / str(parent)
        try:
            parent = int((proc / str(parent) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            return


def processes_below(folder: Path) -> Iterator[int]:
    """Of the folder's group and of all below it."""
    for listing in folder.rglob("cgroup.procs"):
        try:
            yield from (pid for line in listing.read_text().split() if (pid := int(line)) > 0)
        except OSError:  # gone meanwhile, or threads only
            continue


def remove_group(folder: Path) -> None:
    """Ends what runs in the group and removes it with all below it. Raises OSError, EBUSY while processes are still ending."""
    if not folder.is_dir():
        return
    for pid in processes_below(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            Path(path).rmdir()
        except FileNotFoundError:
            continue


def is_busy(error: OSError) -> bool:
    return error.errno == errno.EBUSY


def cluster_groups(mounts: CgroupMounts, cluster: str) -> list[Path]:
    """What is left of a cluster's control groups, whichever way their names were made."""
    slices = Path("kubeling.slice", f"kubeling-{cluster.replace('-', '_')}.slice")
    found = [folder / name for folder in mounts.folders for name in (Path("kubeling", cluster), slices)]
    return [path for path in found if path.is_dir()]


def remove_cluster_groups(cluster: str) -> None:
    """After its containers have gone. Raises OSError."""
    mounts = cgroup_mounts()
    if mounts is None:
        return
    groups = cluster_groups(mounts, cluster)
    if _SYSTEMD.is_dir():
        for name in {path.name for path in groups if path.suffix == ".slice"}:
            subprocess.run(["systemctl", "stop", name], capture_output=True, check=False)
    for path in groups:
        remove_group(path)
        if path.parent.is_dir() and not any(p.is_dir() for p in path.parent.iterdir()):
            _remove_if_empty(path.parent)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as err:  # another cluster comes up just now
        if not is_busy(err) and err.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
