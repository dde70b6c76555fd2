"""Lifecycle hooks: exec, HTTP, sleep (pkg/kubelet/lifecycle)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from kubelet.containers.httpget import HTTP_TO_HTTPS, failure_text, get_headers, get_url
from kubelet.containers.ports import resolve_port
from kubelet.pods import spec as podspec
from kubelet.runtime.execute import execute
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

AGENT = "kube-lifecycle"


class HookFailed(Exception):
    """The message says how, as the container's status shows it."""


class HookRunner:
    def __init__(self, runtime: Runtime, clock: Clock, http: httpx.AsyncClient) -> None:
        self._runtime, self._clock, self._http = runtime, clock, http

    async def run(self, hook: Mapping[str, Any], pod: Object, container: Object, container_id: str, ip: str) -> None:
        """Runs the hook to its end; callers set the deadline. Raises HookFailed."""
        where = f'for Container "{container["name"]}" in Pod "{podspec.format_pod(pod)}"'
        if action := hook.get("exec"):
            await self._exec(action.get("command") or [], container_id, where)
        elif action := hook.get("httpGet"):
            await self._http_get(action, container, ip, where)
        elif "sleep" in hook:
            await self._clock.sleep(float((hook["sleep"] or {}).get("seconds") or 0))
        else:
            raise HookFailed(f"Cannot run handler: invalid handler: {', '.join(hook)}")

    async def _exec(self, command: list[str], container_id: str, where: str) -> None:
        what = f"Exec lifecycle hook ([{' '.join(command)}]) {where} failed - error: "
        try:
            done = await execute(self._runtime, container_id, command)
        except RuntimeFailure as err:
            raise HookFailed(f'{what}{err}, message: ""') from err
        if done.code:
            why = f"command '{' '.join(command)}' exited with {done.code}: {done.stderr.decode(errors='replace')}"
            raise HookFailed(f"{what}{why}, message: {json.dumps(done.output.decode(errors='replace'))}")

    async def _http_get(self, action: Mapping[str, Any], container: Object, ip: str, where: str) -> None:
        """Any answer will do. A server that speaks HTTP where HTTPS was asked for is asked again, over HTTP."""
        try:
            port = resolve_port(action.get("port"), container)
        except ValueError as err:
            raise HookFailed(f"HTTP lifecycle hook ({action.get('path') or ''}) {where} failed - error: {err}") from err
        why = await self._ask(action, port, ip)
        if why == HTTP_TO_HTTPS:
            why = await self._ask({**action, "scheme": "HTTP"}, port, ip)
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
