"""Resource usage from the Docker engine's statistics."""

from __future__ import annotations

from typing import Any

from kubelet.runtime.records import ContainerUsage, DeviceUsage, InterfaceUsage
from kubeling.api.meta import parse_time

# named alike by the engine and by InterfaceUsage
_COUNTERS = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")

_OPERATIONS = {
    "io_service_bytes_recursive": {"read": "read_bytes", "write": "written_bytes"},
    "io_serviced_recursive": {"read": "reads", "write": "writes"},
}


def usage_from(stats: dict[str, Any]) -> ContainerUsage:
    """From ``GET /containers/{id}/stats``; the working set is usage without inactive file cache, as cAdvisor counts it."""
    memory = stats.get("memory_stats") or {}
    cpu = stats.get("cpu_stats") or {}
    times, throttling = cpu.get("cpu_usage") or {}, cpu.get("throttling_data") or {}
    details = memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    usage = int(memory.get("usage", 0))
    return ContainerUsage(
        cpu_nanos=int(times.get("total_usage", 0)),
        memory_bytes=usage,
        working_set=max(0, usage - int(inactive)),
        pids=int((stats.get("pids_stats") or {}).get("current", 0)),
        at=parse_time(stats["read"]) if stats.get("read", "0001").startswith("2") else None,
        rss=int(details.get("total_rss", details.get("anon", 0))),
        page_faults=int(details.get("total_pgfault", details.get("pgfault", 0))),
        major_page_faults=int(details.get("total_pgmajfault", details.get("pgmajfault", 0))),
        interfaces=tuple(
            InterfaceUsage(name, **{field: int(counters.get(field, 0)) for field in _COUNTERS})
            for name, counters in sorted((stats.get("networks") or {}).items())
        ),
        user_nanos=int(times.get("usage_in_usermode", 0)),
        system_nanos=int(times.get("usage_in_kernelmode", 0)),
        periods=int(throttling.get("periods", 0)),
        throttled_periods=int(throttling.get("throttled_periods", 0)),
        throttled_nanos=int(throttling.get("throttled_time", 0)),
        cache=int(details.get("total_cache", details.get("file", 0))),
        mapped_file=int(details.get("total_mapped_file", details.get("file_mapped", 0))),
        swap=_optional(details, "total_swap"),
        highest=_optional(memory, "max_usage"),
        failures=_optional(memory, "failcnt"),
        devices=_devices(stats.get("blkio_stats") or {}),
    )


def _optional(found: dict[str, Any], name: str) -> int | None:
    return int(found[name]) if name in found else None


def _devices(found: dict[str, Any]) -> tuple[DeviceUsage, ...]:
    """Version 1 writes the operations with a capital, version 2 without."""
    counts: dict[tuple[int, int], dict[str, int]] = {}
    for table, names in _OPERATIONS.items():
        for entry in found.get(table) or ():
            if field := names.get(entry["op"].lower()):
                counts.setdefault((entry["major"], entry["minor"]), {})[field] = int(entry["value"])
    return tuple(DeviceUsage(number, **fields) for number, fields in sorted(counts.items()))
