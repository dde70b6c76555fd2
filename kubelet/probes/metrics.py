"""Metrics of probes, served at /metrics/probes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from kubelet.runtime.specs import PodRef

RESULTS = ("successful", "failed", "unknown")
REGISTRY = CollectorRegistry()
PROBE_RESULTS = Counter(
    "prober_probe",
    "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
    ["probe_type", "result", "container", "pod", "namespace", "pod_uid"],
    registry=REGISTRY,
)
PROBE_SECONDS = Histogram(
    "prober_probe_duration_seconds",
    "[ALPHA] Duration in seconds for a probe response.",
    ["probe_type", "container", "pod", "namespace"],
    registry=REGISTRY,
)


def forget_probes(probe_type: str, container: str, pod: PodRef) -> None:
    """The container's probe is over: it is told of no longer."""
    for result in RESULTS:
        PROBE_RESULTS.remove(probe_type, result, container, pod.name, pod.namespace, pod.uid)
    PROBE_SECONDS.remove(probe_type, container, pod.name, pod.namespace)
