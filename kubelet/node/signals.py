"""Eviction signals and thresholds (pkg/kubelet/eviction): what is measured, and when it is too little."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubelet.node.machine import memory_info
from kubelet.node.status import Pressure
from kubeling.api import quantity

MEMORY, DISK, INODES, PIDS = "memory.available", "nodefs.available", "nodefs.inodesFree", "pid.available"
# the resource that each signal is about, as messages name it
RESOURCES = {MEMORY: "memory", DISK: "ephemeral-storage", INODES: "inodes", PIDS: "pids"}
_ALIASES = {"imagefs.available": DISK, "imagefs.inodesFree": INODES}


@dataclass(frozen=True, slots=True)
class Reading:
    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """At least ``amount`` (bytes or a count), or ``share`` of the capacity, has to be available."""

    signal: str
    amount: int = 0
    share: float = 0.0

    def minimum(self, capacity: int) -> int:
        return int(capacity * self.share) if self.share else self.amount

    def is_met(self, readings: Mapping[str, Reading]) -> bool:
        """True when there is too little."""
        reading = readings.get(self.signal)
        return reading is not None and reading.available < self.minimum(reading.capacity)


def parse_thresholds(text: str) -> tuple[Threshold, ...]:
    """``memory.available<100Mi,nodefs.available<10%``. Raises ValueError."""
    found: dict[str, Threshold] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, sign, value = part.partition("<")
        signal = _ALIASES.get(name, name)
        if not sign or signal not in RESOURCES:
            raise ValueError(
                f"invalid eviction threshold {part!r}: want SIGNAL<VALUE with one of {', '.join(RESOURCES)}"
            )
        if value.endswith("%"):
            found[signal] = Threshold(signal, share=float(value[:-1]) / 100)
        else:
            found[signal] = Threshold(signal, amount=quantity.parse(value).integer())
    return tuple(found.values())


def read_signals(folder: Path) -> dict[str, Reading]:
    """The machine as it is now; ``folder`` is on the disk of pods. Raises OSError."""
    memory, disk = memory_info(), os.statvfs(folder)
    pid_max = int(Path("/proc/sys/kernel/pid_max").read_text())
    tasks = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    return {
        MEMORY: Reading(memory["MemAvailable"], memory["MemTotal"]),
        DISK: Reading(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize),
        INODES: Reading(disk.f_favail, disk.f_files),
        PIDS: Reading(pid_max - tasks, pid_max),
    }


def pressure_of(met: set[str]) -> Pressure:
    """The node's conditions while these thresholds are met."""
    return Pressure(memory=MEMORY in met, disk=bool({DISK, INODES} & met), pid=PIDS in met)
