"""What the machine says of its disks, network and processes, in the fields of the Summary API."""

from __future__ import annotations

import os
import time
from pathlib import Path

from kubelet.node.machine import max_pids
from kubelet.runtime.records import InterfaceUsage
from kubeling.api.meta import Object


def filesystem(folder: str | Path, stamp: str, used: tuple[int, int] | None = None) -> Object:
    """Of the file system that holds the folder; ``used``, bytes and inodes, instead of all that is used there. Raises OSError."""
    found = os.statvfs(folder)
    whole = found.f_blocks * found.f_frsize
    size, inodes = used or (whole - found.f_bfree * found.f_frsize, found.f_files - found.f_ffree)
    return {
        "time": stamp,
        "availableBytes": found.f_bavail * found.f_frsize,
        "capacityBytes": whole,
        "usedBytes": size,
        "inodesFree": found.f_favail,
        "inodes": found.f_files,
        "inodesUsed": inodes,
    }


def log_usage(path: str) -> tuple[int, int]:
    """Bytes and files of a container's log, rotated files included."""
    total = count = 0
    for file in Path(path).parent.glob(Path(path).name + "*") if path else ():
        try:
            total += file.stat().st_size
        except OSError:  # rotated away
            continue
        count += 1
    return total, count


def interfaces() -> list[InterfaceUsage]:
    """The machine's, without loopback and the pods' ends."""
    found = []
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(n) for n in rest.split()]
        if not name.strip().startswith(("lo", "veth")):
            found.append(InterfaceUsage(name.strip(), *numbers[:4], *numbers[8:12]))
    return found


def default_interface() -> str:
    """The one that leads out; empty without any."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000":
            return fields[0]
    return ""


def process_limits(stamp: str) -> Object:
    running = Path("/proc/loadavg").read_text().split()[3].partition("/")[2]
    return {
        "time": stamp,
        "maxpid": max_pids(),
        "curproc": int(running),
    }


def page_faults() -> tuple[int, int]:
    """Since the machine's start: all, and those that had to wait for a disk."""
    counters = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(counters.get("pgfault", 0)), int(counters.get("pgmajfault", 0))


def boot_time() -> float:
    """Unix time."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return time.time()
