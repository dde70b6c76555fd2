"""What the machine is: processors, memory, disk, identity."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass, field
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory and disk in bytes."""

    cpus: int
    memory: int
    disk: int
    disk_inodes: int
    architecture: str
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    swap: int = 0
    huge_pages: dict[str, int] = field(default_factory=dict)
    max_pids: int = 0


def _text(*paths: str) -> str:
    for path in paths:
        try:
            return Path(path).read_text().strip()
        except OSError:  # not on every machine
            continue
    return ""


def memory_info() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    result = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        result[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return result


def read_machine(root: Path) -> Machine:
    """The machine as it is; ``root`` is on the disk that pods use."""
    memory = memory_info()
    disk = os.statvfs(root)
    machine_id = _text("/etc/machine-id", "/var/lib/dbus/machine-id")
    return Machine(
        cpus=os.cpu_count() or 1,
        memory=memory["MemTotal"],
        disk=disk.f_blocks * disk.f_frsize,
        disk_inodes=disk.f_files,
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        machine_id=machine_id,
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        swap=memory.get("SwapTotal", 0),
        huge_pages=_huge_pages(),
        max_pids=max_pids(),
    )


def max_pids() -> int:
    """Processes and threads that the machine can have: the smaller of two limits."""
    limits = ("/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max")
    return min(int(Path(path).read_text()) for path in limits)


def _huge_pages() -> dict[str, int]:
    """Bytes reserved for each page size, by the resource's suffix (``2Mi``)."""
    found = {}
    for folder in Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB"):
        size = int(folder.name.removeprefix("hugepages-").removesuffix("kB"))
        shown = f"{size // 1048576}Gi" if size >= 1048576 else f"{size // 1024}Mi" if size >= 1024 else f"{size}Ki"
        found[shown] = int(_text(str(folder / "nr_hugepages")) or 0) * size * 1024
    return found


def own_address() -> str:
    """The address that this machine uses towards others; asks the routing table only, sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:  # no route at all
            return "127.0.0.1"
