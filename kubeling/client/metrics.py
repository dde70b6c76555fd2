"""Prometheus metrics of clients, queues and leader election, under upstream's names."""

from __future__ import annotations

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

_BUCKETS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10)
_LATENCY = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)


class ClientMetrics:
    """The metrics of one process; one instance a registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self.registry = registry
        self.requests = counter("rest_client_requests_total", "Number of HTTP requests.", "code", "host", "method")
        self.request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Request latency in seconds.",
            ("host", "verb"),
            buckets=_LATENCY,
            registry=registry,
        )
        self.queue_depth = gauge("workqueue_depth", "Current depth of workqueue.", "name")
        self.queue_adds = counter("workqueue_adds_total", "Total number of adds handled by workqueue.", "name")
        self.queue_retries = counter("workqueue_retries_total", "Total number of retries handled by workqueue.", "name")
        self.queue_wait = Histogram(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested.",
            ("name",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.queue_work = Histogram(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes.",
            ("name",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.queue_unfinished = gauge(
            "workqueue_unfinished_work_seconds", "Seconds of work in progress that work_duration has not seen.", "name"
        )
        self.queue_longest = gauge(
            "workqueue_longest_running_processor_seconds", "How long the longest running processor has run.", "name"
        )
        self.leader = gauge("leader_election_master_status", "1 for the leader, 0 for a backup.", "name")
        self.watch_events = counter("reflector_watch_events_total", "Watch events received.", "resource")
        self.lists = counter("reflector_lists_total", "Full lists done by informers.", "resource")


disable_created_metrics()  # type: ignore[no-untyped-call]  # upstream has no series of when a series began
METRICS = ClientMetrics()
"""The process's own metrics, in prometheus_client's default registry."""
