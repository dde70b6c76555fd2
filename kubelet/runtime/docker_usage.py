"""Resource usage from the Docker engine's statistics."""

from __future__ import annotations

from typing import Any

from kubelet.runtime.protocol import ContainerUsage
from kubeling.api.meta import parse_time


def usage_from(stats: dict[str, Any]) -> ContainerUsage:
    """From ``GET /containers/{id}/stats``; the working set is usage without inactive file cache, as cAdvisor counts it."""
    memory = stats.get("memory_stats") or {}
    details = memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    usage = int(memory.get("usage", 0))
    networks = (stats.get("networks") or {}).values()
    return ContainerUsage(
        cpu_nanos=int(stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)),
        memory_bytes=usage,
        working_set=max(0, usage - int(inactive)),
        pids=int((stats.get("pids_stats") or {}).get("current", 0)),
        rx_bytes=sum(int(n.get("rx_bytes", 0)) for n in networks),
        tx_bytes=sum(int(n.get("tx_bytes", 0)) for n in networks),
        at=parse_time(stats["read"]) if stats.get("read", "0001").startswith("2") else None,
    )
