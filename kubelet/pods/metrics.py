"""Metrics of pods and their workers under upstream's names (pkg/kubelet/metrics), served at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from kubelet.pods.kit import Publish
from kubeling.api.meta import Object, uid_of
from kubeling.client.clock import Clock

REGISTRY = CollectorRegistry()
WORKER_SECONDS = Histogram(
    "kubelet_pod_worker_duration_seconds",
    "Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync",
    ["operation_type"],
    registry=REGISTRY,
)
PREEMPTIONS = Counter(
    "kubelet_preemptions",
    "[ALPHA] Cumulative number of pod preemptions by preemption resource",
    ["preemption_signal"],
    registry=REGISTRY,
)
_BUCKETS = (
    0.5,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    20,
    30,
    45,
    60,
    120,
    180,
    240,
    300,
    360,
    480,
    600,
    900,
    1200,
    1800,
    2700,
    3600,
)
_START_SECONDS = Histogram(
    "kubelet_pod_start_duration_seconds",
    "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
    buckets=_BUCKETS,
    registry=REGISTRY,
)


class PodStarts:
    """Publishes statuses, and measures how long pods take from their first to the one that says Running."""

    def __init__(self, publish: Publish, clock: Clock) -> None:
        self._publish, self._clock = publish, clock
        self._begun: dict[str, float] = {}

    def publish(self, pod: Object, status: Object) -> None:
        uid, phase, now = uid_of(pod), status.get("phase"), self._clock.monotonic()
        if phase == "Pending":
            self._begun.setdefault(uid, now)
        elif (begun := self._begun.pop(uid, None)) is not None and phase == "Running":
            _START_SECONDS.observe(now - begun)
        self._publish(pod, status)

    def forget(self, uid: str) -> None:
        self._begun.pop(uid, None)
