"""The two ways of keeping control groups: files of ours (cgroupfs), or slices that systemd keeps (systemd).

Both raise OSError. Nothing here decides; see ``limits``.
"""

from __future__ import annotations

import asyncio
import errno
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kubelet.cgroups.limits import Limits, cpu_weight, files_of
from kubelet.cgroups.names import CGROUPFS, SYSTEMD, Name, container_name, parents_of_pods, path_of, slice_of, uid_in
from kubeling.client.cgroupfs import CgroupMounts, is_busy, remove_group

_CONTROLLERS = ("cpu", "memory", "pids", "hugetlb")
_REMOVAL_SECONDS, _POLL_SECONDS = 2.0, 0.02


class Driver(Protocol):
    """``name`` is the engine's word for it."""

    name: str

    def exists(self, group: Name) -> bool: ...

    async def apply(self, group: Name, limits: Limits) -> None:
        """Makes the group, and those above it, where they are missing, and holds it to the limits. Raises OSError."""
        ...

    async def remove(self, group: Name) -> None:
        """With all that is in it. Raises OSError."""
        ...

    def pods(self, kubepods: Name) -> list[tuple[Name, str]]:
        """The groups of pods that are there, with their UIDs."""
        ...

    def has_children(self, group: Name) -> bool: ...

    def kill_together(self, group: Name, container_id: str) -> None:
        """What runs out of memory in the container ends with all of it; version 1 has no such thing. Raises OSError."""
        ...

    def memory_used(self, group: Name) -> int:
        """In bytes. Raises OSError."""
        ...

    def working_set(self, group: Name) -> int:
        """Memory without file cache that nobody has used lately, in bytes. Raises OSError."""
        ...


class _Files:
    """What both have in common: groups are folders."""

    name = CGROUPFS

    def __init__(self, mounts: CgroupMounts) -> None:
        self._mounts = mounts

    def _folder(self, group: Name, controller: str) -> Path | None:
        root = self._mounts.controllers.get("" if self._mounts.version == 2 else controller)
        return root / path_of(group, self.name) if root else None

    def _folders(self, group: Name) -> list[Path]:
        """One a hierarchy."""
        return [folder / path_of(group, self.name) for folder in self._mounts.folders]

    def exists(self, group: Name) -> bool:
        folder = self._folder(group, "memory")
        return folder is not None and folder.is_dir()

    def pods(self, kubepods: Name) -> list[tuple[Name, str]]:
        found: dict[str, Name] = {}
        for parent in parents_of_pods(kubepods):
            for folder in self._folders(parent):
                for path in folder.iterdir() if folder.is_dir() else ():
                    if uid := uid_in(path.name, parent, self.name):
                        found[uid] = (*parent, f"pod{uid}")
        return [(group, uid) for uid, group in found.items()]

    def has_children(self, group: Name) -> bool:
        folder = self._folder(group, "memory")
        return folder is not None and folder.is_dir() and any(p.is_dir() for p in folder.iterdir())

    def kill_together(self, group: Name, container_id: str) -> None:
        if self._mounts.version == 2 and (folder := self._folder(group, "")) is not None:
            (folder / container_name(container_id, self.name) / "memory.oom.group").write_text("1")

    def memory_used(self, group: Name) -> int:
        folder = self._folder(group, "memory")
        if folder is None:
            raise OSError(errno.ENOENT, "no memory controller")
        file = "memory.current" if self._mounts.version == 2 else "memory.usage_in_bytes"
        return int((folder / file).read_text())

    def working_set(self, group: Name) -> int:
        folder, used = self._folder(group, "memory"), self.memory_used(group)
        key = "inactive_file" if self._mounts.version == 2 else "total_inactive_file"
        lines = (folder / "memory.stat").read_text().splitlines() if folder else ()
        return used - next((min(used, int(line.split()[1])) for line in lines if line.split()[0] == key), 0)

    def _write(self, group: Name, limits: Limits) -> None:
        last: tuple[Path, str] | None = None
        for controller, file, value in files_of(limits, self._mounts.version):
            folder = self._folder(group, controller)
            # a kernel may lack huge pages' groups, their reservations, or bandwidth control
            if folder is not None and (path := folder / file).exists() and last != (path, value):
                path.write_text(value)
                last = path, value

    def _remove(self, group: Name) -> None:
        deadline = time.monotonic() + _REMOVAL_SECONDS
        for folder in self._folders(group):
            while True:
                try:
                    remove_group(folder)
                    break
                except OSError as err:
                    if not is_busy(err) or time.monotonic() > deadline:
                        raise
                    time.sleep(_POLL_SECONDS)  # in a thread: its processes are ending


class CgroupfsDriver(_Files):
    """Folders and files below the mounts."""

    async def apply(self, group: Name, limits: Limits) -> None:
        await asyncio.to_thread(self._apply, group, limits)

    def _apply(self, group: Name, limits: Limits) -> None:
        if self._mounts.version == 2:
            self._make_unified(group)
        else:
            for controller in _CONTROLLERS:
                if (folder := self._folder(group, controller)) is not None:
                    folder.mkdir(parents=True, exist_ok=True)
        self._write(group, limits)

    def _make_unified(self, group: Name) -> None:
        """A group has the controllers that each one above it hands down."""
        for depth in range(len(group)):
            parent = self._folder(group[:depth], "")
            assert parent is not None  # version 2 has one folder for all
            there = set((parent / "cgroup.controllers").read_text().split())
            given = set((parent / "cgroup.subtree_control").read_text().split())
            if missing := [c for c in (*_CONTROLLERS, "cpuset", "io") if c in there - given]:
                (parent / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in missing))
            (parent / group[depth]).mkdir(exist_ok=True)

    async def remove(self, group: Name) -> None:
        await asyncio.to_thread(self._remove, group)


_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_INFINITY = str(2**64 - 1)


def slice_properties(limits: Limits, version: int) -> list[tuple[str, str, str]]:
    """Name, D-Bus type and value of a slice's properties (org.freedesktop.systemd1(5))."""
    period_quota = limits.cpu_quota * 1_000_000 // limits.cpu_period if limits.cpu_quota else 0
    cpu = ("CPUWeight", "t", str(cpu_weight(limits.cpu_shares))) if version == 2 else None
    return [
        ("CPUAccounting", "b", "true"),
        ("MemoryAccounting", "b", "true"),
        ("TasksAccounting", "b", "true"),
        cpu or ("CPUShares", "t", str(limits.cpu_shares)),
        ("CPUQuotaPerSecUSec", "t", str(-(-period_quota // 10_000) * 10_000) if period_quota else _INFINITY),
        ("CPUQuotaPeriodUSec", "t", str(limits.cpu_period)),
        ("MemoryMax" if version == 2 else "MemoryLimit", "t", str(limits.memory or _INFINITY)),
        ("TasksMax", "t", str(limits.pids or _INFINITY)),
    ]


def _variants(properties: Sequence[tuple[str, str, str]]) -> list[str]:
    return [str(len(properties)), *(word for row in properties for word in row)]


class SystemdDriver(_Files):
    """Transient slices, made and changed by ``busctl``; what systemd has no property for is written beside it."""

    name = SYSTEMD

    def __init__(self, mounts: CgroupMounts, command: Sequence[str] = ("busctl", "call", "--system")) -> None:
        super().__init__(mounts)
        self._command = command

    async def apply(self, group: Name, limits: Limits) -> None:
        rows = slice_properties(limits, self._mounts.version)
        if self.exists(group):
            await self._call("SetUnitProperties", "sba(sv)", slice_of(group), "true", *_variants(rows))
        else:
            rows += [("Description", "s", f"kubeling {slice_of(group)}"), ("DefaultDependencies", "b", "false")]
            await self._call(
                "StartTransientUnit", "ssa(sv)a(sa(sv))", slice_of(group), "replace", *_variants(rows), "0"
            )
            await self._appears(group)
        await asyncio.to_thread(self._write, group, limits)

    async def _appears(self, group: Name) -> None:
        """systemd answers when the job is queued."""
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while not self.exists(group):
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, f"systemd did not make {slice_of(group)}")
            await asyncio.sleep(_POLL_SECONDS)

    async def remove(self, group: Name) -> None:
        if any(folder.is_dir() for folder in self._folders(group)):
            await self._call("StopUnit", "ss", slice_of(group), "replace")
            await asyncio.to_thread(self._remove, group)

    async def _call(self, method: str, signature: str, *words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *_MANAGER,
            method,
            signature,
            *words,
            stdout=subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode != 0:
            raise OSError(errno.EIO, f"{method}: {errors.decode(errors='replace').strip() or process.returncode}")


def make_driver(mounts: CgroupMounts, name: str) -> CgroupfsDriver | SystemdDriver:
    return SystemdDriver(mounts) if name == SYSTEMD else CgroupfsDriver(mounts)
