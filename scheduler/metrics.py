"""The scheduler's metrics, under upstream's names."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = tuple(0.001 * 2**i for i in range(15))
_SLI = tuple(0.01 * 2**i for i in range(20))
_ATTEMPTS = (1, 2, 4, 8, 16)


class SchedulerMetrics:
    """The metrics of one process; one instance a registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(f"scheduler_{name}", text, labels, buckets=buckets, registry=registry)

        self.attempts = Counter(
            "scheduler_schedule_attempts_total",
            "Number of attempts to schedule pods, by the result.",
            ("profile", "result"),
            registry=registry,
        )
        self.attempt_seconds = histogram(
            "scheduling_attempt_duration_seconds", "Scheduling attempt latency in seconds.", "profile", "result"
        )
        self.algorithm_seconds = histogram(
            "scheduling_algorithm_duration_seconds", "Scheduling algorithm latency in seconds"
        )
        self.sli_seconds = histogram(
            "pod_scheduling_sli_duration_seconds",
            "E2e latency for a pod being scheduled, from the time it enters the queue.",
            "attempts",
            buckets=_SLI,
        )
        self.pod_attempts = histogram(
            "pod_scheduling_attempts", "Number of attempts to successfully schedule a pod.", buckets=_ATTEMPTS
        )
        self.victims = histogram(
            "preemption_victims", "Number of selected preemption victims", buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.preemptions = Counter(
            "scheduler_preemption_attempts_total",
            "Total preemption attempts in the cluster till now",
            registry=registry,
        )
        self.pending = Gauge(
            "scheduler_pending_pods", "Number of pending pods, by the queue type.", ("queue",), registry=registry
        )
        self.nodes = Gauge("scheduler_scheduler_cache_size", "Number of nodes, pods, and assumed pods in the scheduler cache.",
                           ("type",), registry=registry)  # fmt: skip
