"""Eviction signals as they are measured, and the node's conditions that follow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from kubelet.cgroups.manager import Cgroups
from kubelet.node.machine import max_pids, memory_info
from kubelet.node.status import Pressure
from kubelet.node.thresholds import (
    ALLOCATABLE,
    DISKS,
    IMAGEFS,
    IMAGEFS_INODES,
    MEMORY,
    NODEFS,
    NODEFS_INODES,
    PIDS,
    Reading,
)
from kubelet.runtime.protocol import Runtime


def memory_available(memory: dict[str, int]) -> int:
    """Bytes: what is free, and file cache that nobody has used lately; the rest is the machine's working set."""
    return memory["MemFree"] + memory.get("Inactive(file)", 0)


def read_signals(pods: Path, images: Path) -> dict[str, Reading]:
    """The machine as it is now; the folders are on the disks of pods and of images. Raises OSError."""
    memory, processes = memory_info(), max_pids()
    tasks = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    found = {
        MEMORY: Reading(memory_available(memory), memory["MemTotal"]),
        PIDS: Reading(processes - tasks, processes),
    }
    for folder, space, inodes in ((pods, NODEFS, NODEFS_INODES), (images, IMAGEFS, IMAGEFS_INODES)):
        disk = os.statvfs(folder if folder.exists() else pods)
        found[space] = Reading(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
        found[inodes] = Reading(disk.f_favail, disk.f_files)
    return found


class SignalReader:
    """Measures now: the machine, and what all pods together have left of their memory."""

    def __init__(self, runtime: Runtime, cgroups: Cgroups, pods_folder: Path) -> None:
        self._runtime, self._cgroups, self._folder = runtime, cgroups, pods_folder
        self._images: Path | None = None

    async def read(self) -> dict[str, Reading]:
        """Raises OSError and RuntimeFailure."""
        if self._images is None:
            self._images = Path((await self._runtime.version())["root_dir"])
        found = await asyncio.to_thread(read_signals, self._folder, self._images)
        memory = await self._cgroups.memory()
        if memory is not None:
            used, limit = memory
            found[ALLOCATABLE] = Reading(max(0, limit - used), limit)
        return found


def pressure_of(met: Iterable[str]) -> Pressure:
    """The node's conditions while thresholds of these signals are met."""
    signals = set(met)
    return Pressure(memory=bool({MEMORY, ALLOCATABLE} & signals), disk=bool(DISKS & signals), pid=PIDS in signals)
