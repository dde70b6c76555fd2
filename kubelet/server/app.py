"""The kubelet's endpoints, in one table."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from kubelet.node.machine import memory_info
from kubelet.pods import spec as podspec
from kubelet.pods.manager import PodManager
from kubelet.probes.metrics import REGISTRY as PROBE_REGISTRY
from kubelet.runtime.execute import execute
from kubelet.runtime.protocol import Runtime
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubelet.server.auth import Gate
from kubelet.server.cadvisor import cadvisor_metrics
from kubelet.server.http import Request, Response, Upgrade, error_response, json_response
from kubelet.server.logs import serve_logs
from kubelet.server.metrics import resource_metrics
from kubelet.server.own_metrics import OwnMetrics
from kubelet.server.portforward import serve_port_forward
from kubelet.server.remote import run_attach, run_exec, serve_streams
from kubelet.server.stats import Usage
from kubelet.server.summary import Summary
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

Answer = Response | Upgrade
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Route:
    """``pattern`` is matched against the whole path; its groups go to the handler."""

    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    handler: Callable[..., Awaitable[Answer]]


def health_answer(checks: Sequence[str], wrong: Mapping[str, str], *, verbose: bool) -> Response:
    """``ok``, or with what is wrong line by line, as upstream's health handlers answer."""
    failed = [check for check in checks if check in wrong]
    lines = [f"[-]{c} failed: {wrong[c]}" if c in wrong else f"[+]{c} ok" for c in checks]
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
    """Answers requests about the node's pods. ``configuration`` is what /configz shows."""

    def __init__(
        self,
        pods: PodManager,
        runtime: Runtime,
        gate: Gate,
        clock: Clock,
        *,
        node_name: str,
        configuration: Mapping[str, Any],
        pods_folder: Path = Path("/var/lib/kubelet/pods"),
        version: str = "1.36",
        logs_folder: Path = Path("/var/log"),
    ) -> None:
        self._pods, self._runtime, self._gate, self._clock = pods, runtime, gate, clock
        self._node, self._configuration, self._logs_folder = node_name, configuration, logs_folder
        self._usage = Usage(runtime)
        self._stats = Summary(self._usage, runtime, node_name, pods_folder)
        self._metrics = OwnMetrics(node_name, version)
        pod = r"/([^/]+)/([^/]+)(?:/[^/]+)??"  # namespace, name and, which nobody needs, the UID
        container = pod + r"/([^/]+)"
        get, both = ("GET", "HEAD"), ("GET", "POST")
        self._routes = tuple(
            Route(methods, re.compile(pattern), handler)
            for methods, pattern, handler in (
                (get, r"/healthz(?:/(ping|log|syncloop))?", self._healthz),
                (get, r"/pods/?", self._list_pods),
                (get, r"/runningpods/?", self._running_pods),
                (get, r"/containerLogs/([^/]+)/([^/]+)/([^/]+)", self._logs),
                (both, r"/exec" + container, self._exec),
                (both, r"/attach" + container, self._attach),
                (("POST",), r"/run" + container, self._run),
                (both, r"/portForward" + pod, self._port_forward),
                (get, r"/metrics", self._own_metrics),
                (get, r"/metrics/cadvisor", self._cadvisor),
                (get, r"/metrics/resource", self._resource),
                (get, r"/metrics/probes", self._probes),
                (get, r"/stats/summary", self._summary),
                (get, r"/configz", self._configz),
                (get, r"/logs(?:/(.*))?", self._node_logs),
            )
        )

    async def handle(self, request: Request) -> Answer:
        """Authenticates, authorizes, then answers."""
        refusal = await self._gate.refuse(request)
        if refusal is not None:
            return refusal
        known = False
        for route in self._routes:
            if match := route.pattern.fullmatch(request.path):
                known = True
                if request.method in route.methods:
                    return await self._measured(request, route.handler(request, *match.groups()))
        return error_response(405, "405: Method Not Allowed") if known else error_response(404, "404 page not found")

    # --- about the node ------------------------------------------------------------------------------------------

    async def _measured(self, request: Request, answering: Awaitable[Answer]) -> Answer:
        begun, labels = self._clock.monotonic(), self._metrics.begin(request.method, request.path)
        try:
            return await answering
        finally:
            self._metrics.end(labels, self._clock.monotonic() - begun)

    async def _healthz(self, request: Request, check: str | None) -> Answer:
        wrong = {"syncloop": self._pods.runtime_error} if self._pods.runtime_error else {}
        return health_answer(
            [check] if check else ["ping", "log", "syncloop"], wrong, verbose="verbose" in request.query
        )

    async def _list_pods(self, request: Request) -> Answer:
        return json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods.pods()})

    async def _running_pods(self, request: Request) -> Answer:
        """What the runtime runs, told as pods: names and images alone."""
        records = (await self._runtime.pods()).values()
        items = [running_pod(record) for record in records if record.running or record.sandbox]
        return json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _configz(self, request: Request) -> Answer:
        return json_response({"kubeletconfig": dict(self._configuration)})

    async def _own_metrics(self, request: Request) -> Answer:
        active = [worker.pod for worker in self._pods.active()]
        records = (await self._runtime.pods()).values()
        return Response(200, self._metrics.text(self._pods.pods(), active, records), _METRICS_TYPE)

    async def _probes(self, request: Request) -> Answer:
        return Response(200, generate_latest(PROBE_REGISTRY), _METRICS_TYPE)

    async def _resource(self, request: Request) -> Answer:
        samples = await self._usage.samples(self._pods.pods(), self._clock.monotonic())
        return Response(200, resource_metrics(samples).encode(), _METRICS_TYPE)

    async def _cadvisor(self, request: Request) -> Answer:
        samples = await self._usage.samples(self._pods.pods(), self._clock.monotonic())
        cpus, memory = os.cpu_count() or 1, memory_info()["MemTotal"]
        return Response(200, cadvisor_metrics(samples, cpus, memory).encode(), _METRICS_TYPE)

    async def _summary(self, request: Request) -> Answer:
        now, monotonic, brief = self._clock.now(), self._clock.monotonic(), request.flag("only_cpu_and_memory")
        return json_response(await self._stats.answer(self._pods.pods(), now, monotonic, brief=brief))

    async def _node_logs(self, request: Request, name: str | None) -> Answer:
        root = self._logs_folder.resolve()
        path = (root / (name or "")).resolve()
        if path != root and root not in path.parents:
            return error_response(404, "404 page not found")
        if path.is_dir():
            names = sorted(p.name + ("/" if p.is_dir() else "") for p in path.iterdir())
            links = "".join(f'<a href="{n}">{n}</a>\n' for n in names)
            return Response(200, f"<pre>\n{links}</pre>\n".encode(), "text/html; charset=utf-8")
        if path.is_file():
            return Response(200, path.read_bytes())
        return error_response(404, "404 page not found")

    # --- about containers ----------------------------------------------------------------------------------------

    async def _logs(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        pod = self._pods.find(namespace, name)
        if pod is None:
            return error_response(404, f'pod "{name}" not found')
        return await serve_logs(self._runtime, pod, container, request, self._clock.now())

    async def _running(self, namespace: str, name: str, container: str) -> ContainerRecord | Response:
        pod = self._pods.find(namespace, name)
        if pod is None:
            return error_response(404, "pod does not exist")
        record = (await self._runtime.pod(podspec.ref_of(pod))).latest(container)
        if record is None:
            return error_response(404, f"container not found ({container!r})".replace("'", '"'))
        if record.state is not State.RUNNING:
            return error_response(500, f"container {container} is not running")
        return record

    async def _exec(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        record = await self._running(namespace, name, container)
        if isinstance(record, Response):
            return record
        command = request.query.get("command", [])
        if not command:
            return error_response(400, "you must specify a command")
        return serve_streams(request, lambda c, w: run_exec(self._runtime, record.id, command, c, w))

    async def _attach(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        record = await self._running(namespace, name, container)
        if isinstance(record, Response):
            return record
        return serve_streams(request, lambda c, w: run_attach(self._runtime, record.id, c, w))

    async def _run(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        record = await self._running(namespace, name, container)
        if isinstance(record, Response):
            return record
        done = await execute(self._runtime, record.id, request.value("cmd").split())
        return Response(500 if done.code else 200, done.output)

    async def _port_forward(self, request: Request, namespace: str, name: str) -> Answer:
        pod: Object | None = self._pods.find(namespace, name)
        if pod is None:
            return error_response(404, "pod does not exist")
        sandbox = (await self._runtime.pod(podspec.ref_of(pod))).sandbox
        if sandbox is None:
            return error_response(500, "the pod's sandbox does not run")
        return serve_port_forward(request, lambda port: self._runtime.dial(sandbox, port), podspec.ref_of(pod).uid)
