"""The kubelet's own metrics at /metrics, under upstream's names (pkg/kubelet/metrics, pkg/kubelet/server/metrics)."""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Iterable, Mapping

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kubelet.cgroups.metrics import REGISTRY as CGROUPS_REGISTRY
from kubelet.images.metrics import REGISTRY as IMAGES_REGISTRY
from kubelet.node.metrics import REGISTRY as NODE_REGISTRY
from kubelet.pods.metrics import REGISTRY as PODS_REGISTRY
from kubelet.pods.spec import ephemeral_containers, is_static
from kubelet.pods.worker import PodWorker
from kubelet.runtime.metrics import REGISTRY as RUNTIME_REGISTRY
from kubelet.runtime.records import PodRecord, State
from kubelet.volumes.metrics import REGISTRY as VOLUMES_REGISTRY
from kubelet.volumes.metrics import TOTAL

_HTTP = ("method", "path", "server_type", "long_running")
_LONG = frozenset({"exec", "attach", "portforward", "debug"})  # so upstream, though its path is portForward
_METHODS = frozenset({"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DESIRED = (
    "The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver."
)
_ACTIVE = (
    "The number of pods the kubelet considers active and which are being considered when admitting new pods. static is true if the "
    "pod is not from the apiserver."
)
_WORKING = (
    "Number of pods the kubelet is actually running, broken down by lifecycle phase, whether the pod is desired, orphaned, or "
    "runtime only (also orphaned), and whether the pod is static. An orphaned pod has been removed from local configuration or "
    "force deleted in the API and consumes resources that are not otherwise visible."
)
_REGISTRIES = (
    REGISTRY,
    RUNTIME_REGISTRY,
    PODS_REGISTRY,
    NODE_REGISTRY,
    IMAGES_REGISTRY,
    VOLUMES_REGISTRY,
    CGROUPS_REGISTRY,
)
# counters that upstream named before such names ended in _total
_PLAIN = (
    "kubelet_evictions",
    "kubelet_preemptions",
    "kubelet_server_expiration_renew_errors",
    "kubelet_certificate_manager_client_expiration_renew_errors",
)
_SUFFIX = re.compile(rf"\b({'|'.join(_PLAIN)})_total\b".encode())


class OwnMetrics:
    """One a server."""

    def __init__(self, node_name: str, version: str) -> None:
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, f"[ALPHA] {text}", labels, registry=registry)

        gauge("kubelet_node_name", "The node's name. The count is always 1.", "node").labels(node_name).set(1)
        major, _, minor = version.partition(".")
        build = {
            "build_date": "",
            "compiler": platform.python_implementation(),
            "git_commit": "",
            "git_tree_state": "",
            "git_version": f"v{version if version.count('.') > 1 else version + '.0'}",
            "go_version": "",
            "major": major,
            "minor": minor.partition(".")[0],
            "platform": f"linux/{platform.machine()}",
        }
        text = (
            "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, "
            "Go version, and compiler from which Kubernetes was built, and platform on which it is running."
        )
        Gauge("kubernetes_build_info", f"[BETA] {text}", list(build), registry=registry).labels(**build).set(1)
        self._running_pods = gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox")
        self._running_containers = gauge(
            "kubelet_running_containers", "Number of containers currently running", "container_state"
        )
        self._desired = gauge("kubelet_desired_pods", _DESIRED, "static")
        self._active = gauge("kubelet_active_pods", _ACTIVE, "static")
        self._requests = Counter(
            "kubelet_http_requests",
            "[ALPHA] Number of the http requests received since the server started",
            _HTTP,
            registry=registry,
        )
        self._request_seconds = Histogram(
            "kubelet_http_requests_duration_seconds",
            "[ALPHA] Duration in seconds to serve http requests",
            _HTTP,
            buckets=_SECONDS,
            registry=registry,
        )
        self._mirrors = gauge(
            "kubelet_mirror_pods",
            "The number of mirror pods the kubelet will try to create (one per admitted static pod)",
        )
        self._ephemeral = gauge(
            "kubelet_managed_ephemeral_containers",
            "Current number of ephemeral containers in pods managed by this kubelet.",
        )
        self._waiting = gauge("kubelet_pod_pending_resizes", "Number of pending resizes for pods.", "reason")
        self._resizing = gauge("kubelet_pod_in_progress_resizes", "Number of in-progress resizes for pods.")
        self._working = gauge("kubelet_working_pods", _WORKING, "config", "lifecycle", "static")
        self._inflight = gauge("kubelet_http_inflight_requests", "Number of the inflight http requests", *_HTTP)

    def begin(self, method: str, path: str, served: Collection[str]) -> tuple[str, str, str, str]:
        """A request has come; what names it in ``end``. Paths that begin like none that is ``served`` are one."""
        parts = path.strip("/").split("/")
        shown = "/".join(parts[:2]) if parts[0] == "metrics" else parts[0]
        shown = shown if shown in served else "other"
        labels = (method if method in _METHODS else "other", shown, "readwrite", str(shown in _LONG).lower())
        self._requests.labels(*labels).inc()
        self._inflight.labels(*labels).inc()
        return labels

    def end(self, labels: tuple[str, str, str, str], seconds: float) -> None:
        self._inflight.labels(*labels).dec()
        self._request_seconds.labels(*labels).observe(seconds)

    def count_pods(self, workers: Iterable[PodWorker], records: Iterable[PodRecord]) -> None:
        """``workers`` of the pods that the kubelet knows; ``records`` of what is there of them, and of others."""
        known, there = list(workers), list(records)
        active = [w for w in known if not w.ending]
        for family, found in ((self._desired, [w for w in known if not w.gone]), (self._active, active)):
            static = sum(is_static(w.pod) for w in found)
            family.labels("true").set(static)
            family.labels("").set(len(found) - static)
        self._mirrors.set(sum(is_static(w.pod) for w in active))
        self._ephemeral.set(sum(len(ephemeral_containers(w.pod)) for w in known))
        self._running_pods.set(sum(1 for r in there if r.sandbox is not None))
        states = [c.state for r in there for c in r.containers]
        for state in State:
            self._running_containers.labels(state.value).set(states.count(state))
        resizing = [w.resizing for w in known]
        self._resizing.set(sum("PodResizeInProgress" in conditions for conditions in resizing))
        self._waiting.clear()
        for reason in (c["PodResizePending"][1] for c in resizing if "PodResizePending" in c):
            self._waiting.labels(reason.lower()).inc()
        self._working.clear()
        uids = {w.ref.uid for w in known}
        for worker in known:
            phase = "terminated" if worker.ended.is_set() else "terminating" if worker.ending else "sync"
            config = "orphan" if worker.gone else "desired"
            self._working.labels(config, phase, "true" if is_static(worker.pod) else "").inc()
        if unknown := sum(1 for r in there if r.pod.uid not in uids):
            self._working.labels("runtime_only", "terminating", "unknown").set(unknown)

    def count_volumes(self, totals: Mapping[tuple[str, str], int]) -> None:
        """By plugin and state."""
        TOTAL.clear()
        for (plugin, state), count in totals.items():
            TOTAL.labels(plugin, state).set(count)

    def text(self) -> bytes:
        """All metrics of the process."""
        return _SUFFIX.sub(rb"\1", b"".join(map(generate_latest, (*_REGISTRIES, self._registry))))
