"""Metrics of pods and their workers under upstream's names (pkg/kubelet/metrics), served at /metrics."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()
_STARTS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, f"[ALPHA] {text}", labels, registry=REGISTRY)


def _seconds(name: str, text: str, *labels: str, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS) -> Histogram:
    return Histogram(name, f"[ALPHA] {text}", labels, buckets=buckets, registry=REGISTRY)


WORKER_SECONDS = _seconds(
    "kubelet_pod_worker_duration_seconds",
    "Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync",
    "operation_type",
)
WORKER_START_SECONDS = _seconds(
    "kubelet_pod_worker_start_duration_seconds", "Duration in seconds from kubelet seeing a pod to starting a worker."
)
STATUS_SECONDS = _seconds(
    "kubelet_pod_status_sync_duration_seconds",
    "Duration in seconds to sync a pod status update. Measures time from detection of a change to pod status until the API is "
    "successfully updated for that pod, even if multiple intevening changes to pod status occur.",
    buckets=(0.010, 0.050, 0.100, 0.500, 1, 5, 10, 20, 30, 45, 60),
)
START_SECONDS = _seconds(
    "kubelet_pod_start_duration_seconds",
    "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
    buckets=_STARTS,
)
TOTAL_SECONDS = _seconds(
    "kubelet_pod_start_total_duration_seconds",
    "Duration in seconds to start a pod since creation, including time to pull images and run init containers, measured from pod "
    "creation timestamp to when all its containers are reported as started and observed via watch",
    buckets=_STARTS,
)
SLI_SECONDS = _seconds(
    "kubelet_pod_start_sli_duration_seconds",
    "Duration in seconds to start a pod, excluding time to pull images and run init containers, measured from pod creation "
    "timestamp to when all its containers are reported as started and observed via watch",
    buckets=_STARTS,
)
IMAGE_VOLUMES, IMAGE_VOLUMES_MOUNTED, IMAGE_VOLUMES_FAILED = (
    Counter(f"kubelet_image_volume_{name}", f"[BETA] Number of {text}.", registry=REGISTRY)
    for name, text in (
        ("requested", "requested image volumes"),
        ("mounted_succeed", "successful image volume mounts"),
        ("mounted_errors", "failed image volume mounts"),
    )
)
CONTAINERS_PER_POD = _seconds(
    "kubelet_containers_per_pod_count", "The number of containers per pod.", buckets=(1, 2, 4, 8, 16)
)
HTTP_FALLBACKS = _counter(
    "kubelet_lifecycle_handler_http_fallbacks",
    "The number of times lifecycle handlers successfully fell back to http from https.",
)
SLEEPS_CUT_SHORT = _counter(
    "kubelet_sleep_action_terminated_early",
    "The number of times lifecycle sleep handler got terminated before it finishes",
)
RESIZES = _counter(
    "kubelet_container_requested_resizes",
    "Number of requested resizes, counted at the container level. Different resources on the same container are counted "
    "separately. The 'requirement' label refers to 'memory' or 'limits'; the 'operation' label can be one of 'add', 'remove', "
    "'increase' or 'decrease'.",
    "resource",
    "requirement",
    "operation",
)
RESIZE_MILLISECONDS = _seconds(
    "kubelet_pod_resize_duration_milliseconds",
    "Duration in milliseconds to actuate a pod resize",
    "success",
    buckets=[10.0 * 2**n for n in range(19)],
)
REJECTIONS = _counter(
    "kubelet_admission_rejections", "Cumulative number pod admission rejections by the Kubelet.", "reason"
)
PREEMPTIONS = _counter(
    "kubelet_preemptions", "Cumulative number of pod preemptions by preemption resource", "preemption_signal"
)
STARTED_CONTAINERS = _counter("kubelet_started_containers", "Cumulative number of containers started", "container_type")
STARTED_CONTAINERS_ERRORS = _counter(
    "kubelet_started_containers_errors",
    "Cumulative number of errors when starting containers",
    "container_type",
    "code",
)
TERMINATED_CONTAINERS = _counter(
    "kubelet_terminated_containers",
    "Cumulative number of terminated containers by type, exit code, and reason.",
    "container_type",
    "exit_code",
    "reason",
)
ORPHANED_PODS = _counter(
    "kubelet_orphaned_runtime_pods",
    "Number of pods that have been detected in the container runtime without being already known to the pod worker. This typically "
    "indicates the kubelet was restarted while a pod was force deleted in the API or in the local configuration, which is unusual.",
)
RESTARTED_PODS = _counter(
    "kubelet_restarted_pods",
    "Number of pods that have been restarted because they were deleted and recreated with the same UID while the kubelet was "
    "watching them (common for static pods, extremely uncommon for API pods)",
    "static",
)
# container types by the kinds of ``kubelet.pods.actions.Start``
CONTAINER_TYPES = {"container": "container", "init": "init_container", "ephemeral": "ephemeral_container"}
# what upstream names; extended resources are one, and all others are Other
_REJECTION_REASONS = frozenset(
    {
        "AppArmor",
        "PodOSSelectorNodeLabelDoesNotMatch",
        "PodOSNotSupported",
        "UnexpectedAdmissionError",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfephemeral-storage",
        "OutOfpods",
        "Evicted",
        "SysctlForbidden",
        "NodeShutdown",
    }
)


def count_rejection(reason: str) -> None:
    """A pod was not let in."""
    extended = "OutOfExtendedResources" if reason.startswith("OutOf") else "Other"
    REJECTIONS.labels(reason if reason in _REJECTION_REASONS else extended).inc()
