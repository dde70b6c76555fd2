"""The DNS server's metrics, under CoreDNS' names."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

_BUCKETS = tuple(0.00025 * 2**i for i in range(16))


class DnsMetrics:
    """The metrics of one process; one instance a registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._requests = Counter(
            "coredns_dns_requests_total", "Counter of DNS requests made per type.", ("proto", "type"), registry=registry
        )
        self._responses = Counter(
            "coredns_dns_responses_total", "Counter of response status codes.", ("rcode",), registry=registry
        )
        self._seconds = Histogram(
            "coredns_dns_request_duration_seconds",
            "Histogram of the time (in seconds) each request took.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.forward_failures = Counter(
            "coredns_forward_failures", "Counter of queries that no resolver answered.", registry=registry
        )

    def observe(self, kind: str, protocol: str, rcode: str, seconds: float) -> None:
        self._requests.labels(protocol, kind).inc()
        self._responses.labels(rcode).inc()
        self._seconds.observe(seconds)
