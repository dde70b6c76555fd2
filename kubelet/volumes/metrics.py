"""Metrics of volumes under upstream's names (pkg/volume/util), served at /metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge, Histogram

REGISTRY = CollectorRegistry()
_SECONDS = Histogram(
    "storage_operation_duration_seconds",
    "[ALPHA] Storage operation duration",
    ["volume_plugin", "operation_name", "status", "migrated"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600),
    registry=REGISTRY,
)
TOTAL = Gauge(
    "volume_manager_total_volumes",
    "[ALPHA] Number of volumes in Volume Manager",
    ["plugin_name", "state"],
    registry=REGISTRY,
)


@contextmanager
def mounting(plugin: str) -> Iterator[None]:
    """Times one attempt to mount; it failed if it raises."""
    begun, status = time.monotonic(), "fail-unknown"
    try:
        yield
        status = "success"
    finally:
        _SECONDS.labels(plugin, "volume_mount", status, "false").observe(time.monotonic() - begun)
