"""The endpoints about containers: logs, exec, attach, run, port-forward, checkpoint (pkg/kubelet/server/server.go)."""

from __future__ import annotations

from kubelet.pods import spec as podspec
from kubelet.pods.manager import PodManager
from kubelet.runtime.execute import execute
from kubelet.runtime.protocol import Runtime
from kubelet.runtime.records import ContainerRecord
from kubelet.server.http import Request, Response, Upgrade, error_response
from kubelet.server.logs import serve_logs
from kubelet.server.portforward import refuse_port_forward, serve_port_forward
from kubelet.server.remote import refuse_streams, run_attach, run_exec, serve_streams
from kubeling.api.meta import uid_of
from kubeling.client.clock import Clock

Answer = Response | Upgrade
_NO_POD = error_response(404, "pod does not exist")
_NO_CHECKPOINT = "rpc error: code = Unimplemented desc = checkpoints are not supported by the container runtime"


class ContainerApi:
    def __init__(self, pods: PodManager, runtime: Runtime, clock: Clock) -> None:
        self._pods, self._runtime, self._clock = pods, runtime, clock

    async def logs(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        pod = self._pods.find(namespace, name)
        return await serve_logs(self._runtime, pod, name, container, request, self._clock.now())

    async def _running(self, namespace: str, name: str, uid: str | None, container: str) -> ContainerRecord | Response:
        """The container as it runs; one that does not run is not found, as upstream says it."""
        pod = self._pods.find(namespace, name)
        if pod is None:
            return _NO_POD
        runs = (await self._runtime.pod(podspec.ref_of(pod))).running if uid in (None, uid_of(pod)) else ()
        found = next((record for record in runs if record.name == container), None)
        return found or error_response(500, f'container not found ("{container}")')

    async def exec(self, request: Request, namespace: str, name: str, uid: str | None, container: str) -> Answer:
        if (refusal := refuse_streams(request)) is not None:
            return refusal
        record = await self._running(namespace, name, uid, container)
        if isinstance(record, Response):
            return record
        command = request.query.get("command", [])
        if not command:
            return error_response(400, "you must specify a command")
        return serve_streams(request, lambda c, w: run_exec(self._runtime, record.id, command, c, w))

    async def attach(self, request: Request, namespace: str, name: str, uid: str | None, container: str) -> Answer:
        if (refusal := refuse_streams(request)) is not None:
            return refusal
        record = await self._running(namespace, name, uid, container)
        if isinstance(record, Response):
            return record
        return serve_streams(request, lambda c, w: run_attach(self._runtime, record.id, c, w))

    async def run(self, request: Request, namespace: str, name: str, uid: str | None, container: str) -> Answer:
        """A command's whole output; what it says is not JSON, though upstream calls it so."""
        record = await self._running(namespace, name, uid, container)
        if isinstance(record, Response):
            return record
        command = request.value("cmd").split(" ")
        done = await execute(self._runtime, record.id, command)
        if done.code != 0:
            said = done.stderr.decode(errors="replace")
            return error_response(500, f"command '{' '.join(command)}' exited with {done.code}: {said}")
        return Response(200, done.output, "application/json")

    async def port_forward(self, request: Request, namespace: str, name: str, uid: str | None) -> Answer:
        if (refusal := refuse_port_forward(request)) is not None:
            return refusal
        pod = self._pods.find(namespace, name)
        if pod is None:
            return _NO_POD
        if uid not in (None, uid_of(pod)):
            return error_response(404, "pod not found")
        sandbox = (await self._runtime.pod(podspec.ref_of(pod))).sandbox
        if sandbox is None:
            return error_response(500, f'pod not found ("{name}_{namespace}")')
        return serve_port_forward(request, lambda port: self._runtime.dial(sandbox, port), sandbox.id)

    async def checkpoint(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        """Refused: Docker's checkpoints are an experiment that needs CRIU."""
        pod = self._pods.find(namespace, name)
        if pod is None:
            return _NO_POD
        if podspec.container_named(pod, container) is None:
            return error_response(404, f"container {container} does not exist")
        where = f"{namespace}/{name}/{container}"
        return error_response(500, f"checkpointing of {where} failed ({_NO_CHECKPOINT})")
