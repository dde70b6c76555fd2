"""Lifecycle hooks: exec, HTTP, sleep (pkg/kubelet/lifecycle)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from kubelet.containers.httpget import HTTP_TO_HTTPS, failure_text, get_headers, get_url
from kubelet.containers.ports import resolve_port
from kubelet.pods import spec as podspec
from kubelet.pods.metrics import HTTP_FALLBACKS, SLEEPS_CUT_SHORT
from kubelet.pods.recorder import Recorder
from kubelet.runtime.execute import execute
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

AGENT = "kube-lifecycle"


class HookFailed(Exception):
    """The message says how, as the container's status shows it."""


class HookRunner:
    def __init__(self, runtime: Runtime, clock: Clock, http: httpx.AsyncClient, recorder: Recorder) -> None:
        self._runtime, self._clock, self._http, self._recorder = runtime, clock, http, recorder

    async def run(self, hook: Mapping[str, Any], pod: Object, container: Object, container_id: str, ip: str) -> None:
        """Runs the hook to its end; callers set the deadline. Raises HookFailed."""
        where = f'for Container "{container["name"]}" in Pod "{podspec.format_pod(pod)}"'
        if action := hook.get("exec"):
            await self._exec(action.get("command") or [], container_id, where)
        elif action := hook.get("httpGet"):
            await self._http_get(action, pod, container, ip, where)
        elif "sleep" in hook:
            await self._sleep(float((hook["sleep"] or {}).get("seconds") or 0))
        else:
            raise HookFailed(f"Cannot run handler: invalid handler: {', '.join(hook)}")

    async def _sleep(self, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        except asyncio.CancelledError:  # its pod's grace period is over
            SLEEPS_CUT_SHORT.inc()
            raise

    async def _exec(self, command: list[str], container_id: str, where: str) -> None:
        what = f"Exec lifecycle hook ([{' '.join(command)}]) {where} failed - error: "
        try:
            done = await execute(self._runtime, container_id, command)
        except RuntimeFailure as err:
            raise HookFailed(f'{what}{err}, message: ""') from err
        if done.code:
            why = f"command '{' '.join(command)}' exited with {done.code}: {done.stderr.decode(errors='replace')}"
            raise HookFailed(f"{what}{why}, message: {json.dumps(done.output.decode(errors='replace'))}")

    async def _http_get(self, action: Mapping[str, Any], pod: Object, container: Object, ip: str, where: str) -> None:
        """Any answer will do. A server that speaks HTTP where HTTPS was asked for is asked over that, without credentials."""
        try:
            port = resolve_port(action.get("port"), container)
        except ValueError as err:
            raise HookFailed(f"HTTP lifecycle hook ({action.get('path') or ''}) {where} failed - error: {err}") from err
        why = await self._ask(action, port, ip)
        if why == HTTP_TO_HTTPS:
            headers = [h for h in action.get("httpHeaders") or () if h["name"].lower() != "authorization"]
            over_http = {**action, "scheme": "HTTP", "httpHeaders": headers}
            why = await self._ask(over_http, port, ip)
            if not why:
                HTTP_FALLBACKS.inc()
                server = urlsplit(get_url(over_http, port, ip)).netloc
                message = f"request to HTTPS lifecycle hook {server} got HTTP response, retry with HTTP succeeded"
                self._recorder.event(pod, "Warning", "LifecycleHTTPFallback", message)
        if why:
            url = get_url(action, port, ip)
            what = f"HTTP lifecycle hook ({action.get('path') or ''}) {where} failed - error: "
            raise HookFailed(f'{what}Get "{url}": {why}')

    async def _ask(self, action: Mapping[str, Any], port: int, ip: str) -> str:
        """Why there was no answer, empty when there was one."""
        url = get_url(action, port, ip)
        try:
            async with self._http.stream("GET", url, headers=get_headers(action, AGENT), timeout=None):
                return ""
        except httpx.HTTPError as err:
            return failure_text(err, url)
