"""Metrics of control groups under upstream's names (pkg/kubelet/metrics), served at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram

REGISTRY = CollectorRegistry()
SECONDS = Histogram(
    "kubelet_cgroup_manager_duration_seconds",
    "[ALPHA] Duration in seconds for cgroup manager operations. Broken down by method.",
    ["operation_type"],
    registry=REGISTRY,
)
VERSION = Gauge("kubelet_cgroup_version", "[ALPHA] cgroup version on the hosts.", registry=REGISTRY)
