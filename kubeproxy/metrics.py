"""The proxy's metrics, under upstream's names."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = tuple(0.001 * 2**i for i in range(15))


class ProxyMetrics:
    """The metrics of one process; one instance a registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        prefix = "kubeproxy_sync_proxy_rules_"

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(prefix + name, text, registry=registry)

        def counter(name: str, text: str) -> Counter:
            return Counter(prefix + name, text, registry=registry)

        self.duration = Histogram(
            f"{prefix}duration_seconds", "SyncProxyRules latency in seconds", buckets=_BUCKETS, registry=registry
        )
        self.last = gauge("last_timestamp_seconds", "The last time proxy rules were successfully synced")
        self.last_queued = gauge("last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued")
        self.services_pending = gauge("service_changes_pending", "Pending proxy rules Service changes")
        self.endpoints_pending = gauge("endpoint_changes_pending", "Pending proxy rules Endpoint changes")
        self.service_changes = counter("service_changes_total", "Cumulative proxy rules Service changes")
        self.endpoint_changes = counter("endpoint_changes_total", "Cumulative proxy rules Endpoint changes")
        self.failures = counter("nftables_sync_failures_total", "Cumulative proxy nftables sync failures")
        self.no_local = Gauge(
            f"{prefix}no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            ("traffic_policy",),
            registry=registry,
        )
