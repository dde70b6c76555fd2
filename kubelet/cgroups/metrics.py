"""Metrics of control groups under upstream's names (pkg/kubelet/metrics), served at /metrics."""

from __future__ import annotations

import functools

from prometheus_client import CollectorRegistry, Gauge, Histogram

REGISTRY = CollectorRegistry()
SECONDS = Histogram(
    "kubelet_cgroup_manager_duration_seconds",
    "[ALPHA] Duration in seconds for cgroup manager operations. Broken down by method.",
    ["operation_type"],
    registry=REGISTRY,
)


@functools.cache
def tell_version(version: int) -> None:
    """Until it is known, nothing is told."""
    Gauge("kubelet_cgroup_version", "[ALPHA] cgroup version on the hosts.", registry=REGISTRY).set(version)
