"""The kubelet's own metrics at /metrics, under upstream's names (pkg/kubelet/metrics, pkg/kubelet/server/metrics)."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kubelet.node.metrics import REGISTRY as NODE_REGISTRY
from kubelet.pods.metrics import REGISTRY as PODS_REGISTRY
from kubelet.pods.spec import is_static
from kubelet.runtime.metrics import REGISTRY as RUNTIME_REGISTRY
from kubelet.runtime.records import PodRecord, State
from kubeling.api.meta import Object

_HTTP = ("method", "path", "server_type", "long_running")
_LONG = frozenset({"exec", "attach", "portforward", "debug"})  # so upstream, though its path is portForward
_METHODS = frozenset({"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class OwnMetrics:
    """One a server."""

    def __init__(self, node_name: str, version: str) -> None:
        self._registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

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
        gauge("kubernetes_build_info", text, *build).labels(**build).set(1)
        self._running_pods = gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox")
        self._running_containers = gauge(
            "kubelet_running_containers", "Number of containers currently running", "container_state"
        )
        self._desired = gauge(
            "kubelet_desired_pods", "The number of pods the kubelet is being instructed to run.", "static"
        )
        self._active = gauge("kubelet_active_pods", "The number of pods the kubelet considers active.", "static")
        self._requests = Counter(
            "kubelet_http_requests",
            "Number of the http requests received since the server started",
            _HTTP,
            registry=registry,
        )
        self._request_seconds = Histogram(
            "kubelet_http_requests_duration_seconds",
            "Duration in seconds to serve http requests",
            _HTTP,
            buckets=_SECONDS,
            registry=registry,
        )
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

    def text(self, pods: Iterable[Object], active: Iterable[Object], records: Iterable[PodRecord]) -> bytes:
        """All metrics of the process. ``pods`` are those it is to run, ``active`` those that have not ended."""
        for family, found in ((self._desired, list(pods)), (self._active, list(active))):
            static = sum(map(is_static, found))
            family.labels("true").set(static)
            family.labels("").set(len(found) - static)
        known = list(records)
        self._running_pods.set(sum(1 for r in known if r.sandbox is not None))
        states = [c.state for r in known for c in r.containers]
        for state in State:
            self._running_containers.labels(state.value).set(states.count(state))
        return b"".join(
            map(generate_latest, (REGISTRY, RUNTIME_REGISTRY, PODS_REGISTRY, NODE_REGISTRY, self._registry))
        )
