"""``/livez``, ``/readyz``, ``/healthz``: named checks, each with a path of its own.

The names are upstream's, since tools look for them. What a name stands for here is one of few conditions: the store
answers, the cache has synced, the objects of the first start are there, the server is not shutting down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from apiserver.http.message import Request, Response, text_response
from kubeling.api.errors import failure

Check = Callable[[], Awaitable[str]]
"""Why it fails, empty when all is well."""

_HOOKS = tuple(
    f"poststarthook/{name}"
    for name in (
        "start-apiserver-admission-initializer",
        "generic-apiserver-start-informers",
        "priority-and-fairness-config-consumer",
        "priority-and-fairness-filter",
        "storage-object-count-tracker-hook",
        "start-apiextensions-informers",
        "start-apiextensions-controllers",
        "crd-informer-synced",
        "start-system-namespaces-controller",
        "peer-endpoint-reconciler-controller",
        "start-cluster-authentication-info-controller",
        "start-kube-apiserver-identity-lease-controller",
        "start-kube-apiserver-identity-lease-garbage-collector",
        "storage-readiness",
        "start-legacy-token-tracking-controller",
        "start-service-ip-repair-controllers",
        "rbac/bootstrap-roles",
        "scheduling/bootstrap-system-priority-classes",
        "priority-and-fairness-config-producer",
        "bootstrap-controller",
        "start-kubernetes-service-cidr-controller",
        "start-kube-aggregator-informers",
        "apiservice-status-local-available-controller",
        "apiservice-status-remote-available-controller",
        "apiservice-registration-controller",
        "apiservice-wait-for-first-sync",
        "apiservice-discovery-controller",
        "kube-apiserver-autoregistration",
    )
)
_LAST = ("autoregister-completion", "poststarthook/apiservice-openapi-controller")
_LAST_V3 = ("poststarthook/apiservice-openapiv3-controller",)
_COMMON = (*_HOOKS, *_LAST, *_LAST_V3)
CHECKS: Mapping[str, tuple[str, ...]] = {
    "healthz": ("ping", "log", "loopback-serving-certificate", "etcd", *_COMMON),
    "livez": ("ping", "log", "loopback-serving-certificate", "etcd", *_COMMON),
    "readyz": ("ping", "log", "etcd", "etcd-readiness", "informer-sync", *_COMMON, "shutdown"),
}
_HIDDEN = {"readyz": ("etcd", "etcd-readiness")}
"""Checks that count but that a verbose answer does not list, as recorded."""


class Health:
    """``checks`` maps names to what they test; a name without an entry passes once the server has ``started``."""

    def __init__(self, checks: Mapping[str, Check], started: Check) -> None:
        self._checks = checks
        self._started = started
        self.results: dict[tuple[str, str], bool] = {}
        """The last result of each check, by its name and endpoint."""
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """Results by name, status and endpoint."""

    async def _run(self, endpoint: str, name: str) -> str:
        why = ""
        if name not in ("ping", "log", "loopback-serving-certificate"):
            why = await self._checks.get(name, self._started)()
        self.results[name, endpoint] = not why
        self.counts[name, "error" if why else "success", endpoint] += 1
        return why

    async def serve(self, request: Request) -> Response:
        """``/livez`` and the like, or one check below it. Raises 404 and 405."""
        endpoint, _, name = request.path.strip("/").partition("/")
        if request.method not in ("GET", "HEAD"):
            message = "the server does not allow this method on the requested resource"
            raise failure(405, "MethodNotAllowed", message, {})
        if name:
            return await self._one(endpoint, name)
        excluded = set(request.query.get("exclude", ()))
        lines, failed = [], []
        for check in CHECKS[endpoint]:
            if check in excluded:
                lines.append(f"[+]{check} excluded: ok\n")
                excluded.discard(check)
                continue
            why = await self._run(endpoint, check)
            if why:
                failed.append(check)
                lines.append(f"[-]{check} failed: reason withheld\n")
            elif check not in _HIDDEN.get(endpoint, ()):
                lines.append(f"[+]{check} ok\n")
        if excluded:
            names = ",".join(f'"{n}"' for n in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}\n")
        if failed:
            return text_response("".join(lines) + f"{endpoint} check failed\n", 500)
        if "verbose" in request.query:
            return text_response("".join(lines) + f"{endpoint} check passed\n")
        return text_response("ok")

    async def _one(self, endpoint: str, name: str) -> Response:
        if name not in CHECKS[endpoint]:
            raise failure(404, "NotFound", "the server could not find the requested resource", {})
        why = await self._run(endpoint, name)
        return text_response(f"internal server error: {why}\n", 500) if why else text_response("ok")
