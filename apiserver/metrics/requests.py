"""Requests: how many, how long, how large, how many at once.

Names, labels and buckets as in k8s.io/apiserver/pkg/endpoints/metrics.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apiserver.http.message import Request, Response
from apiserver.http.request import RequestInfo
from apiserver.http.steps import Endpoint, long_running
from apiserver.metrics.families import REQUEST_BUCKETS, Labels, counter, gauge, histogram
from apiserver.metrics.histogram import Histogram

_SIZE_BUCKETS = tuple(10.0**n for n in range(3, 10))
_VERBS = {"get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
          "delete": "DELETE", "deletecollection": "DELETECOLLECTION", "proxy": "CONNECT"}  # fmt: skip
_CONNECTS = ("attach", "exec", "portforward", "proxy")
_APPLY = "application/apply-patch"
_REMOVED = re.compile(r"unavailable in v([0-9.]+)\+")
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
_TIMED = (*_LABELS, "dry_run")
_COUNTED = (*_LABELS, "code", "dry_run")
_HEALTH = ("healthz", "livez", "readyz")


def scope_of(info: RequestInfo) -> str:
    """Upstream's CleanScope."""
    if info.name or info.verb == "create":
        return "resource"
    if info.namespace:
        return "namespace"
    return "cluster" if info.is_resource else ""


def verb_of(request: Request) -> str:
    """Upstream's cleanVerb."""
    info = request.info
    if not info.is_resource:
        return request.method
    if info.subresource in _CONNECTS:
        return "CONNECT"
    if info.verb == "patch" and request.header(b"content-type").startswith(_APPLY):
        return "APPLY"
    return _VERBS.get(info.verb, "other")


class _Series:
    """What is counted of requests that differ in nothing but their status."""

    __slots__ = ("labels", "seconds", "sizes")

    def __init__(self, labels: Labels, reads: bool) -> None:
        self.labels = labels
        self.seconds = Histogram(REQUEST_BUCKETS)
        self.sizes = Histogram(_SIZE_BUCKETS) if reads else None


class RequestMetrics:
    """``served`` tells whether a resource exists: what clients make up must not become labels."""

    def __init__(self, served: Callable[[RequestInfo], bool]) -> None:
        self._served = served
        self._series: dict[Labels, _Series | None] = {}
        self._codes: Counter[tuple[Labels, int]] = Counter()
        self._inflight = {True: 0, False: 0}
        self._lasting: Counter[Labels] = Counter()
        self._deprecated: dict[Labels, float] = {}

    def observe(self, next_: Endpoint) -> Endpoint:
        """The step that counts and times requests."""
        inflight = self._inflight

        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            if long_running(request):
                response = await next_(request)
            else:
                reads = request.method in ("GET", "HEAD")
                inflight[reads] += 1
                try:
                    response = await next_(request)
                finally:
                    inflight[reads] -= 1
            self._record(request, response, time.perf_counter() - start)
            return response

        return endpoint

    def _record(self, request: Request, response: Response, seconds: float) -> None:
        info = request.info
        dry_run = "All" if request.query and "dryRun" in request.query else ""
        applies = info.verb == "patch" and verb_of(request) == "APPLY"
        key = (
            info.verb, info.group, info.version, info.resource, info.subresource, "n" if info.name else "",
            "s" if info.namespace else "", dry_run, "a" if applies else "", "" if info.is_resource else info.path,
        )  # fmt: skip
        try:
            series = self._series[key]
        except KeyError:
            series = self._found(request, key, dry_run)
        if series is None:
            return
        self._codes[series.labels, response.status] += 1
        series.seconds.observe(seconds)
        if series.sizes is not None:
            series.sizes.observe(len(response.body))
        if request.warnings:
            self._note_deprecation(request)

    def _found(self, request: Request, key: Labels, dry_run: str) -> _Series | None:
        """A new series; none for what is not served, and that is not remembered."""
        info = request.info
        if info.is_resource:
            if not self._served(info):
                return None
        elif info.path.split("/")[1] not in _HEALTH or len(info.path) > 100 or request.method not in ("GET", "HEAD"):
            return None
        labels = (*self._labels(request), dry_run)
        made = self._series[key] = _Series(labels, labels[0] in ("GET", "LIST"))
        return made

    @staticmethod
    def _labels(request: Request) -> Labels:
        info = request.info
        subresource = info.subresource if info.is_resource else info.path
        return (
            verb_of(request), info.group, info.version, info.resource, subresource, scope_of(info),
            "apiserver" if info.is_resource else "",
        )  # fmt: skip

    def _note_deprecation(self, request: Request) -> None:
        info = request.info
        for warning in request.warnings:
            removed = _REMOVED.search(warning)
            if removed is not None and warning.startswith(f"{info.group}/{info.version} ".lstrip("/")):
                self._deprecated[info.group, info.version, info.resource, info.subresource, removed[1]] = 1

    @contextmanager
    def lasting(self, request: Request) -> Iterator[None]:
        """Around a request that lasts."""
        if not (request.info.is_resource and self._served(request.info)):
            yield
            return
        labels = self._labels(request)
        self._lasting[labels] += 1
        try:
            yield
        finally:
            self._lasting[labels] -= 1

    def collect(self) -> Iterator[str]:
        known = {series.labels: series for series in self._series.values() if series is not None}
        counts = {(*labels[:7], str(code), labels[7]): float(n) for (labels, code), n in self._codes.items()}
        yield counter(
            "apiserver_request",
            "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, "
            "scope, component, and HTTP response code.",
            _COUNTED,
            counts,
        )
        seconds = {labels: series.seconds for labels, series in known.items()}
        yield histogram(
            "apiserver_request_duration_seconds",
            "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            _TIMED,
            seconds,
        )
        yield histogram(
            "apiserver_request_sli_duration_seconds",
            "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait "
            "times) in seconds for each verb, group, version, resource, subresource, scope and component.",
            _LABELS,
            {labels[:7]: found for labels, found in seconds.items() if not labels[7] and labels[0] != "WATCH"},
        )
        yield histogram(
            "apiserver_response_sizes",
            "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and "
            "component.",
            _LABELS,
            {labels[:7]: s.sizes for labels, s in known.items() if s.sizes is not None and not labels[7]},
        )
        yield gauge(
            "apiserver_current_inflight_requests",
            "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last "
            "second.",
            ("request_kind",),
            ((("readOnly",), self._inflight[True]), (("mutating",), self._inflight[False])),
        )
        yield gauge(
            "apiserver_longrunning_requests",
            "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, "
            "scope and component. Not all requests are tracked this way.",
            _LABELS,
            self._lasting.items(),
        )
        yield gauge(
            "apiserver_requested_deprecated_apis",
            "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, "
            "subresource, and removed_release.",
            ("group", "version", "resource", "subresource", "removed_release"),
            self._deprecated.items(),
        )
