"""``/metrics`` with upstream's names and labels."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from apiserver.http.message import Request, Response
from apiserver.http.steps import Endpoint, long_running
from apiserver.registry.registries import ServerRegistries

_BUCKETS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_VERBS = {"get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
          "delete": "DELETE", "deletecollection": "DELETECOLLECTION"}  # fmt: skip


class Metrics:
    """One registry a server: several servers in one process do not mix."""

    def __init__(self, registries: ServerRegistries, version: dict[str, str]) -> None:
        self._registries = registries
        self._registry = registry = CollectorRegistry()
        labels = ("verb", "group", "version", "resource", "subresource", "scope", "component", "code", "dry_run")
        self._requests = Counter("apiserver_request", "Counter of apiserver requests.", labels, registry=registry)
        self._seconds = Histogram(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component", "dry_run"),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._inflight = Gauge(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind.",
            ("request_kind",),
            registry=registry,
        )
        self._reading = self._inflight.labels("readOnly")
        self._mutating = self._inflight.labels("mutating")
        self._long = Gauge(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component"),
            registry=registry,
        )
        self._objects = Gauge(
            "apiserver_storage_objects", "Number of stored objects.", ("resource",), registry=registry
        )
        self._watchers = Gauge(
            "apiserver_registered_watchers", "Number of currently registered watchers.", ("group", "version", "kind"),
            registry=registry,
        )  # fmt: skip
        build = Gauge("kubernetes_build_info", "A metric with a constant '1' value.", tuple(version), registry=registry)
        build.labels(**version).set(1)
        self._children: dict[tuple[str, ...], tuple[Counter, Histogram]] = {}

    def observe(self, next_: Endpoint) -> Endpoint:
        """The step that counts and times requests."""

        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            last = long_running(request)
            gauge = self._reading if request.method in ("GET", "HEAD") else self._mutating
            if not last:
                gauge.inc()
            try:
                response = await next_(request)
            finally:
                if not last:
                    gauge.dec()
            self._record(request, response.status, time.perf_counter() - start)
            return response

        return endpoint

    def _record(self, request: Request, code: int, seconds: float) -> None:
        info = request.info
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster" if info.is_resource else ""
        dry_run = "All" if request.query and "dryRun" in request.query else ""
        verb = _VERBS.get(info.verb, info.verb.upper() if info.is_resource else request.method)
        key = (verb, info.group, info.version, info.resource, info.subresource, scope, dry_run, str(code))
        children = self._children.get(key)
        if children is None:
            labels = (verb, info.group, info.version, info.resource, info.subresource, scope, "apiserver")
            children = self._children[key] = (
                self._requests.labels(*labels, str(code), dry_run),
                self._seconds.labels(*labels, dry_run),
            )
        children[0].inc()
        children[1].observe(seconds)

    def response(self) -> Response:
        for registry in self._registries.all():
            resource, cache = registry.kind.resource, registry.objects.cache
            self._objects.labels(resource.qualified).set(len(cache))
            self._watchers.labels(resource.group, resource.version, resource.kind).set(cache.watchers)
        body = generate_latest(self._registry)
        return Response(body, 200, [(b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode())])
