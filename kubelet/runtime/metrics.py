"""Metrics of the container runtime under upstream's names (pkg/kubelet/metrics), served at /metrics."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kubelet.runtime.specs import SandboxSpec

REGISTRY = CollectorRegistry()
ENDPOINTS_FREED = Counter(
    "kubeling_network_endpoints_freed",
    "Network endpoints that had outlived their container and were freed.",
    registry=REGISTRY,
)
_OPERATION = ["operation_type"]
_OPERATIONS = Counter(
    "kubelet_runtime_operations",
    "[ALPHA] Cumulative number of runtime operations by operation type.",
    _OPERATION,
    registry=REGISTRY,
)
_ERRORS = Counter(
    "kubelet_runtime_operations_errors",
    "[ALPHA] Cumulative number of runtime operation errors by operation type.",
    _OPERATION,
    registry=REGISTRY,
)
_SECONDS = Histogram(
    "kubelet_runtime_operations_duration_seconds",
    "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
    _OPERATION,
    buckets=[0.005 * 2.5**n for n in range(14)],
    registry=REGISTRY,
)
_RELIST = Histogram(
    "kubelet_pleg_relist_duration_seconds", "[ALPHA] Duration in seconds for relisting pods in PLEG.", registry=REGISTRY
)
_INTERVAL = Histogram(
    "kubelet_pleg_relist_interval_seconds", "[ALPHA] Interval in seconds between relisting in PLEG.", registry=REGISTRY
)
_SEEN = Gauge(
    "kubelet_pleg_last_seen_seconds", "[ALPHA] Timestamp in seconds when PLEG was last seen active.", registry=REGISTRY
)
_PODS = Counter("kubelet_started_pods", "[ALPHA] Cumulative number of pods started", registry=REGISTRY)
_PODS_FAILED = Counter(
    "kubelet_started_pods_errors", "[ALPHA] Cumulative number of errors when starting pods", registry=REGISTRY
)

_HANDLER = ["runtime_handler"]
_SANDBOX_SECONDS = Histogram(
    "kubelet_run_podsandbox_duration_seconds",
    "[ALPHA] Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.",
    _HANDLER,
    registry=REGISTRY,
)
_SANDBOX_ERRORS = Counter(
    "kubelet_run_podsandbox_errors",
    "[ALPHA] Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.",
    _HANDLER,
    registry=REGISTRY,
)

# methods of a runtime, and what upstream calls the same
_NAMES = {
    "version": "version",
    "pods": "list_podsandbox",
    "run_sandbox": "run_podsandbox",
    "remove_sandbox": "remove_podsandbox",
    "create_container": "create_container",
    "start_container": "start_container",
    "signal": "stop_container",
    "remove_container": "remove_container",
    "update_resources": "update_container",
    "exec": "exec",
    "attach": "attach",
    "usage": "container_stats",
    "images": "list_images",
    "image": "image_status",
    "pull": "pull_image",
    "remove_image": "remove_image",
}
T = TypeVar("T")
# what the operation was given, when it began and ended on a monotonic clock, and whether it failed
After = Callable[[tuple[Any, ...], float, float, bool], None]


class _Relists:
    """Looks at all pods, as they come one after the other."""

    def __init__(self) -> None:
        self._last = 0.0

    def looked(self, given: tuple[Any, ...], began: float, ended: float, failed: bool) -> None:
        _RELIST.observe(ended - began)
        if self._last:
            _INTERVAL.observe(began - self._last)
        self._last = began
        if not failed:
            _SEEN.set_to_current_time()


def _pod_started(given: tuple[SandboxSpec], began: float, ended: float, failed: bool) -> None:
    handler = given[0].handler
    _PODS.inc()
    _SANDBOX_SECONDS.labels(handler).observe(ended - began)
    if failed:
        _PODS_FAILED.inc()
        _SANDBOX_ERRORS.labels(handler).inc()


def measured(runtime: type[T]) -> type[T]:
    """A class decorator for runtimes: their operations are counted and timed."""
    more: dict[str, After] = {"pods": _Relists().looked, "run_sandbox": _pod_started}
    for method, name in _NAMES.items():
        setattr(runtime, method, _measured(getattr(runtime, method), name, more.get(method)))
    return runtime


def _measured(
    operation: Callable[..., Awaitable[Any]], name: str, after: After | None
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(operation)
    async def run(*args: Any, **options: Any) -> Any:
        begun, failed = time.monotonic(), True
        _OPERATIONS.labels(name).inc()
        try:
            answer = await operation(*args, **options)
            failed = False
            return answer
        except Exception:
            _ERRORS.labels(name).inc()
            raise
        finally:
            ended = time.monotonic()
            _SECONDS.labels(name).observe(ended - begun)
            if after is not None:
                after(args[1:], begun, ended, failed)

    return run
