"""Metrics of the node's certificates, shutdown and evictions under upstream's names, served at /metrics."""

from __future__ import annotations

import math
import time

from cryptography import x509
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
_LEFT = {
    True: Gauge(
        "kubelet_certificate_manager_server_ttl_seconds",
        "[ALPHA] Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. The value is in seconds until "
        "certificate expiry (negative if already expired). If serving certificate is invalid or unused, the value will be +INF.",
        registry=REGISTRY,
    ),
    False: Gauge(
        "kubelet_certificate_manager_client_ttl_seconds",
        "[ALPHA] Gauge of the TTL (time-to-live) of the Kubelet's client certificate. The value is in seconds until certificate "
        "expiry (negative if already expired). If client certificate is invalid or unused, the value will be +INF.",
        registry=REGISTRY,
    ),
}
for unused in _LEFT.values():
    unused.set(math.inf)
RENEW_ERRORS = {
    True: Counter(
        "kubelet_server_expiration_renew_errors",
        "[ALPHA] Counter of certificate renewal errors.",
        registry=REGISTRY,
    ),
    False: Counter(
        "kubelet_certificate_manager_client_expiration_renew_errors",
        "[ALPHA] Counter of certificate renewal errors.",
        registry=REGISTRY,
    ),
}
EVICTIONS = Counter(
    "kubelet_evictions",
    "[ALPHA] Cumulative number of pod evictions by eviction signal",
    ["eviction_signal"],
    registry=REGISTRY,
)
EVICTION_STATS_AGE = Histogram(
    "kubelet_eviction_stats_age_seconds",
    "[ALPHA] Time between when stats are collected, and when pod is evicted based on those stats by eviction signal",
    ["eviction_signal"],
    registry=REGISTRY,
)
SHUTDOWN_BEGUN = Gauge(
    "kubelet_graceful_shutdown_start_time_seconds",
    "[ALPHA] Last graceful shutdown start time since unix epoch in seconds",
    registry=REGISTRY,
)
SHUTDOWN_OVER = Gauge(
    "kubelet_graceful_shutdown_end_time_seconds",
    "[ALPHA] Last graceful shutdown end time since unix epoch in seconds",
    registry=REGISTRY,
)


def in_use(certificate: x509.Certificate, *, serving: bool) -> None:
    """From now on the metric tells how long this one lasts."""
    end = certificate.not_valid_after_utc.timestamp()
    _LEFT[serving].set_function(lambda: end - time.time())
