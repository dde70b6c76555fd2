"""Resource usage from the Docker engine's statistics."""

from __future__ import annotations

from typing import Any

from kubelet.runtime.records import ContainerUsage, InterfaceUsage
from kubeling.api.meta import parse_time

# named alike by the engine and by InterfaceUsage
_COUNTERS = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")


def usage_from(stats: dict[str, Any]) -> ContainerUsage:
    """From ``GET /containers/{id}/stats``; the working set is usage without inactive file cache, as cAdvisor counts it."""
    memory = stats.get("memory_stats") or {}
    details = memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    usage = int(memory.get("usage", 0))
    return ContainerUsage(
        cpu_nanos=int(stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)),
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
    )
