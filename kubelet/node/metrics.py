"""Metrics of the node's certificates and shutdown under upstream's names, served at /metrics."""

from __future__ import annotations

import math
import time

from cryptography import x509
from prometheus_client import CollectorRegistry, Counter, Gauge

REGISTRY = CollectorRegistry()
_LEFT = {
    True: Gauge(
        "kubelet_certificate_manager_server_ttl_seconds",
        "Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. The value is in seconds until "
        "certificate expiry (negative if already expired). If serving certificate is invalid or unused, the value will be +INF.",
        registry=REGISTRY,
    ),
    False: Gauge(
        "kubelet_certificate_manager_client_ttl_seconds",
        "Gauge of the TTL (time-to-live) of the Kubelet's client certificate. The value is in seconds until certificate "
        "expiry (negative if already expired). If client certificate is invalid or unused, the value will be +INF.",
        registry=REGISTRY,
    ),
}
for unused in _LEFT.values():
    unused.set(math.inf)
RENEW_ERRORS = {
    True: Counter(
        "kubelet_server_expiration_renew_errors",
        "Counter of certificate renewal errors.",
        registry=REGISTRY,
    ),
    False: Counter(
        "kubelet_certificate_manager_client_expiration_renew_errors",
        "Counter of certificate renewal errors.",
        registry=REGISTRY,
    ),
}
SHUTDOWN_BEGUN = Gauge(
    "kubelet_graceful_shutdown_start_time_seconds",
    "Last graceful shutdown start time since unix epoch in seconds",
    registry=REGISTRY,
)
SHUTDOWN_OVER = Gauge(
    "kubelet_graceful_shutdown_end_time_seconds",
    "Last graceful shutdown start time since unix epoch in seconds",
    registry=REGISTRY,
)


def in_use(certificate: x509.Certificate, *, serving: bool) -> None:
    """From now on the metric tells how long this one lasts."""
    end = certificate.not_valid_after_utc.timestamp()
    _LEFT[serving].set_function(lambda: end - time.time())
