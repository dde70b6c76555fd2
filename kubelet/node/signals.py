"""Eviction signals and thresholds (pkg/kubelet/eviction): what is measured, and when it is too little."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubelet.node.machine import max_pids, memory_info
from kubelet.node.status import Pressure
from kubeling.api import quantity
from kubeling.client.flags import parse_duration

MEMORY, DISK, INODES, PIDS = "memory.available", "nodefs.available", "nodefs.inodesFree", "pid.available"
# the resource that each signal is about, as messages name it
RESOURCES = {MEMORY: "memory", DISK: "ephemeral-storage", INODES: "inodes", PIDS: "pids"}
_ALIASES = {"imagefs.available": DISK, "imagefs.inodesFree": INODES}


@dataclass(frozen=True, slots=True)
class Reading:
    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Amount:
    """``amount`` (bytes or a count), or ``share`` of the capacity."""

    amount: int = 0
    share: float = 0.0

    def of(self, capacity: int) -> int:
        return int(capacity * self.share) if self.share else self.amount


@dataclass(frozen=True, slots=True)
class Threshold:
    """At least ``minimum`` has to be available.

    A soft threshold has ``grace``, the seconds that it has to be met for before pods go. Once met, it stays so until
    ``reclaim`` more than the minimum is available.
    """

    signal: str
    least: Amount
    grace: float | None = None
    reclaim: Amount = Amount()

    @property
    def soft(self) -> bool:
        return self.grace is not None

    def minimum(self, capacity: int) -> int:
        return self.least.of(capacity)

    def is_met(self, readings: Mapping[str, Reading], *, before: bool = False) -> bool:
        """True when there is too little; ``before``: it was met at the last look."""
        reading = readings.get(self.signal)
        if reading is None:
            return False
        wanted = self.minimum(reading.capacity) + (self.reclaim.of(reading.capacity) if before else 0)
        return reading.available < wanted


def parse_amount(text: str) -> Amount:
    """``10%`` or a quantity. Raises ValueError."""
    if text.endswith("%"):
        return Amount(share=float(text[:-1]) / 100)
    return Amount(quantity.parse(text).integer())


def _by_signal(text: str, sign: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, given, value = part.partition(sign)
        signal = _ALIASES.get(name, name)
        if not given or signal not in RESOURCES:
            raise ValueError(
                f"invalid eviction threshold {part!r}: want SIGNAL{sign}VALUE with one of {', '.join(RESOURCES)}"
            )
        found[signal] = value
    return found


def parse_thresholds(hard: str, soft: str = "", soft_grace: str = "", reclaim: str = "") -> tuple[Threshold, ...]:
    """Hard and soft thresholds from the flags' text, ``memory.available<100Mi,nodefs.available<10%``. Raises ValueError.

    ``soft_grace`` (``memory.available=1m30s``) is needed for every soft one; ``reclaim`` is ``memory.available=500Mi``.
    """
    back = {signal: parse_amount(value) for signal, value in _by_signal(reclaim, "=").items()}
    graces = {signal: parse_duration(value) for signal, value in _by_signal(soft_grace, "=").items()}
    found = []
    for signal, value in _by_signal(hard, "<").items():
        found.append(Threshold(signal, parse_amount(value), reclaim=back.get(signal, Amount())))
    for signal, value in _by_signal(soft, "<").items():
        if signal not in graces:
            raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
        found.append(Threshold(signal, parse_amount(value), graces[signal], back.get(signal, Amount())))
    return tuple(found)


def read_signals(folder: Path) -> dict[str, Reading]:
    """The machine as it is now; ``folder`` is on the disk of pods. Raises OSError."""
    memory, disk = memory_info(), os.statvfs(folder)
    pid_max = max_pids()
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
