"""The kubelet's endpoints, in one table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from kubelet.pods.manager import PodManager
from kubelet.probes.metrics import REGISTRY as PROBE_REGISTRY
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.runtime.records import PodRecord
from kubelet.server.auth import Gate
from kubelet.server.cadvisor import GroupPath, cadvisor_metrics, read_machine_figures
from kubelet.server.containers import ContainerApi
from kubelet.server.disks import Disks, disk_metrics
from kubelet.server.http import Request, Response, Upgrade, error_response, json_response
from kubelet.server.metrics import failed_scrape, health_slis, resource_metrics
from kubelet.server.node_logs import NOT_FOUND, serve_file
from kubelet.server.own_metrics import OwnMetrics
from kubelet.server.stats import Sample, Usage
from kubelet.server.summary import Summary
from kubelet.server.zpages import flagz, statusz
from kubelet.volumes.manager import VolumeManager
from kubeling.api.meta import Object, uid_of
from kubeling.client.clock import Clock
from kubeling.client.logs import set_verbosity

Answer = Response | Upgrade
_CHECKS = ("ping", "log", "syncloop")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Route:
    """``pattern`` is matched against the whole path; its groups go to the handler. Below ``prefix`` nothing else is served."""

    methods: tuple[str, ...]
    prefix: str
    pattern: re.Pattern[str]
    handler: Callable[..., Awaitable[Answer]]

    @classmethod
    def of(cls, methods: tuple[str, ...], path: str, handler: Callable[..., Awaitable[Answer]]) -> Route:
        """``path`` is a fixed beginning, and after it a regular expression."""
        prefix = re.match(r"(?:/[\w.]+)+", path)
        assert prefix is not None  # every path begins with a name
        return cls(methods, prefix[0], re.compile(path), handler)


def health_answer(checks: Sequence[str], wrong: Mapping[str, str], *, verbose: bool) -> Response:
    """``ok``, or what is wrong line by line, as upstream's health handlers answer: why is told at the check's own path."""
    failed = [check for check in checks if check in wrong]
    lines = [f"[-]{c} failed: reason withheld" if c in wrong else f"[+]{c} ok" for c in checks]
    if failed:
        return error_response(500, "\n".join([*lines, "healthz check failed", ""]))
    return Response(200, ("\n".join([*lines, "healthz check passed", ""]) if verbose else "ok").encode())


def running_pod(record: PodRecord) -> Object:
    containers = [{"name": c.name, "image": c.image, "resources": {}} for c in record.running]
    ref = record.pod
    return {
        "metadata": {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid},
        "spec": {"containers": containers},
        "status": {},
    }


class KubeletApi:
    """Answers requests about the node's pods. ``configuration`` is what /configz shows, ``flags`` what /flagz does; disks are
    measured every ``stats_period`` seconds at the most. ``disabled``: what is answered instead, by the beginning of the path;
    ``group_path`` tells containers' control groups."""

    def __init__(
        self,
        pods: PodManager,
        runtime: Runtime,
        gate: Gate,
        clock: Clock,
        *,
        node_name: str,
        configuration: Mapping[str, Any],
        volumes: VolumeManager,
        stats_period: float = 60.0,
        pods_folder: Path = Path("/var/lib/kubelet/pods"),
        version: str = "1.36",
        flags: Mapping[str, str] | None = None,
        logs_folder: Path = Path("/var/log"),
        disabled: Mapping[str, str] | None = None,
        group_path: GroupPath = lambda pod, container_id: "",
    ) -> None:
        self._pods, self._runtime, self._gate, self._clock = pods, runtime, gate, clock
        self._node, self._configuration, self._logs_folder = node_name, configuration, logs_folder
        self._usage, self._volumes = Usage(runtime), volumes
        self._disks = Disks(runtime, clock, volumes.mounted, stats_period)
        self._stats = Summary(self._usage, runtime, node_name, pods_folder, self._disks)
        self._metrics = OwnMetrics(node_name, version)
        self._checked: Counter[tuple[str, str]] = Counter()
        self._disabled, self._group_path = disabled or {}, group_path
        self._version, self._flags, self._started = version, flags or {}, clock.now()
        of_pod = r"/([^/]+)/([^/]+)(?:/([^/]+))?"  # namespace, name and, where it has to be that very pod, the UID
        one = r"/([^/]+)/([^/]+)(?:/([^/]+))?/([^/]+)"
        get, both, post = ("GET", "HEAD"), ("GET", "POST"), ("POST",)
        containers = ContainerApi(pods, runtime, clock)
        self._routes = tuple(
            Route.of(methods, path, handler)
            for methods, path, handler in (
                (get, r"/healthz(?:/(ping|log|syncloop))?", self._healthz),
                (get, r"/pods/?", self._list_pods),
                (get, r"/runningpods/?", self._running_pods),
                (get, r"/containerLogs/([^/]+)/([^/]+)/([^/]+)", containers.logs),
                (both, "/exec" + one, containers.exec),
                (both, "/attach" + one, containers.attach),
                (post, "/run" + one, containers.run),
                (both, "/portForward" + of_pod, containers.port_forward),
                (post, r"/checkpoint/([^/]+)/([^/]+)/([^/]+)", containers.checkpoint),
                (get, r"/metrics", self._own_metrics),
                (get, r"/metrics/cadvisor", self._cadvisor),
                (get, r"/metrics/resource", self._resource),
                (get, r"/metrics/probes", self._probes),
                (get, r"/metrics/slis", self._slis),
                (get, r"/stats/summary", self._summary),
                (get, r"/configz", self._configz),
                (get, r"/logs(?:/(.*))?", self._node_logs),
                (get, r"/statusz", self._statusz),
                (get, r"/flagz", self._flagz),
                (("PUT",), r"/debug/flags/v", self._verbosity),
                (get, r"/debug/pprof(?:/.*)?", self._no_profiles),
            )
        )

        roots = {r.prefix.strip("/") for r in self._routes}
        self._buckets = {root if root.startswith("metrics") else root.split("/")[0] for root in roots}

    async def handle(self, request: Request) -> Answer:
        """Authenticates, authorizes, then answers. What nothing is served below is unknown to everybody."""
        begun, labels = self._clock.monotonic(), self._metrics.begin(request.method, request.path, self._buckets)
        try:
            return await self._answer(request)
        finally:
            self._metrics.end(labels, self._clock.monotonic() - begun)

    async def _answer(self, request: Request) -> Answer:
        below = [r for r in self._routes if request.path == r.prefix or request.path.startswith(r.prefix + "/")]
        if not below:
            return NOT_FOUND
        if (refusal := await self._gate.refuse(request)) is not None:
            return refusal
        if (why := self._disabled.get(below[0].prefix)) is not None:
            return error_response(405, f"{why}\n")
        matching = [(r, match) for r in below if (match := r.pattern.fullmatch(request.path))]
        for route, match in matching:
            if request.method in route.methods:
                return await route.handler(request, *match.groups())
        if not matching:
            return error_response(404, "404: Page Not Found")
        allowed = ", ".join(m for route, _ in matching for m in route.methods)
        return Response(405, b"405: Method Not Allowed", headers=(("Allow", allowed),))

    # --- about the node ------------------------------------------------------------------------------------------

    def _wrong(self) -> Mapping[str, str]:
        """What is wrong, by the name of the check that finds it."""
        return {"syncloop": problem} if (problem := self._pods.problem) else {}

    async def _healthz(self, request: Request, check: str | None) -> Answer:
        wrong = self._wrong()
        checks = [c for c in _CHECKS if c not in request.query.get("exclude", [])] if check is None else [check]
        self._checked.update((c, "error" if c in wrong else "success") for c in checks)
        if check is not None:
            return (
                error_response(500, f"internal server error: {wrong[check]}\n")
                if check in wrong
                else Response(200, b"ok")
            )
        return health_answer(checks, wrong, verbose="verbose" in request.query)

    async def _list_pods(self, request: Request) -> Answer:
        items = [{k: v for k, v in pod.items() if k not in ("kind", "apiVersion")} for pod in self._pods.pods()]
        return json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _running_pods(self, request: Request) -> Answer:
        """What the runtime runs, told as pods: names and images alone."""
        records = (await self._runtime.pods()).values()
        items = [running_pod(record) for record in records if record.running or record.sandbox]
        return json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _configz(self, request: Request) -> Answer:
        return json_response({"kubeletconfig": dict(self._configuration)})

    async def _own_metrics(self, request: Request) -> Answer:
        records, pods = await self._runtime.pods(), self._pods.pods()
        self._metrics.count_pods(self._pods.workers(), records.values())
        self._metrics.count_volumes(self._volumes.totals(pods))
        known = [(pod, record.running) for pod in pods if (record := records.get(uid_of(pod))) and record.running]
        found = [(pod, await self._disks.of(pod, running)) for pod, running in known]
        return Response(200, self._metrics.text() + disk_metrics(found).encode(), _METRICS_TYPE)

    async def _samples(self) -> list[Sample]:
        return await self._usage.samples(self._pods.pods(), self._clock.monotonic())

    async def _probes(self, request: Request) -> Answer:
        return Response(200, generate_latest(PROBE_REGISTRY), _METRICS_TYPE)

    async def _resource(self, request: Request) -> Answer:
        try:
            text = resource_metrics(await self._samples(), self._clock.now())
        except RuntimeFailure:
            text = failed_scrape()
        return Response(200, text.encode(), _METRICS_TYPE)

    async def _cadvisor(self, request: Request) -> Answer:
        machine, path = read_machine_figures(self._clock.now()), self._group_path
        try:
            text = cadvisor_metrics(await self._samples(), machine, path)
        except RuntimeFailure:
            text = cadvisor_metrics(None, machine, path)
        return Response(200, text.encode(), _METRICS_TYPE)

    async def _summary(self, request: Request) -> Answer:
        now, monotonic, brief = self._clock.now(), self._clock.monotonic(), request.flag("only_cpu_and_memory")
        return json_response(await self._stats.answer(self._pods.pods(), now, monotonic, brief=brief))

    async def _slis(self, request: Request) -> Answer:
        return Response(200, health_slis(_CHECKS, self._wrong(), self._checked).encode(), _METRICS_TYPE)

    async def _node_logs(self, request: Request, name: str | None) -> Answer:
        return await serve_file(self._logs_folder, name or "")

    async def _statusz(self, request: Request) -> Answer:
        text = statusz("kubelet", self._started, self._clock.now(), self._version, {r.prefix for r in self._routes})
        return Response(200, text.encode())

    async def _flagz(self, request: Request) -> Answer:
        return Response(200, flagz("kubelet", self._flags).encode())

    async def _verbosity(self, request: Request) -> Answer:
        """``PUT`` with a number, as ``--v``."""
        text = request.body.decode(errors="replace")
        try:
            set_verbosity(int(text))
        except ValueError:
            return error_response(400, f'error setting value: strconv.ParseInt: parsing "{text}": invalid syntax\n')
        return Response(200, f"successfully set klog.logging.verbosity to {text}".encode())

    async def _no_profiles(self, request: Request) -> Answer:
        return error_response(405, "profiling endpoint is disabled.\n")
