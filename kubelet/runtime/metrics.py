"""Metrics of the container runtime, served at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

REGISTRY = CollectorRegistry()
ENDPOINTS_FREED = Counter(
    "kubeling_network_endpoints_freed",
    "Network endpoints that had outlived their container and were freed.",
    registry=REGISTRY,
)
