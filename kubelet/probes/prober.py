"""One probe of one container, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from kubelet.containers.ports import resolve_port
from kubelet.probes.grpc import probe_grpc
from kubelet.probes.http import probe_http, probe_tcp
from kubelet.probes.outcome import Outcome, Verdict
from kubelet.runtime.execute import execute
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubeling.api.meta import Object


class Prober:
    def __init__(self, runtime: Runtime, http: httpx.AsyncClient) -> None:
        self._runtime, self._http = runtime, http

    async def probe(self, probe: Mapping[str, Any], container: Object, container_id: str, ip: str) -> Outcome:
        """Runs the probe's action within its timeout. Never raises but for cancellation."""
        timeout = float(probe.get("timeoutSeconds") or 1)
        try:
            if action := probe.get("exec"):
                return await self._exec(action.get("command") or [], container_id, timeout)
            if action := probe.get("httpGet"):
                return await probe_http(self._http, action, resolve_port(action.get("port"), container), ip, timeout)
            if action := probe.get("tcpSocket"):
                return await probe_tcp(action.get("host") or ip, resolve_port(action.get("port"), container), timeout)
            if action := probe.get("grpc"):
                return await probe_grpc(ip, int(action["port"]), action.get("service") or "", timeout)
        except ValueError as err:
            return Outcome(Verdict.UNKNOWN, str(err))
        return Outcome(Verdict.UNKNOWN, "missing probe handler")

    async def _exec(self, command: list[str], container_id: str, timeout: float) -> Outcome:
        try:
            async with asyncio.timeout(timeout):
                done = await execute(self._runtime, container_id, command)
        except TimeoutError:
            shown = " ".join(command)
            return Outcome(Verdict.FAILURE, f'command timed out: "{shown}" timed out after {timeout:g}s')
        except RuntimeFailure as err:
            return Outcome(Verdict.UNKNOWN, str(err))
        return Outcome(Verdict.FAILURE if done.code else Verdict.SUCCESS, done.output.decode(errors="replace"))
