"""Lifecycle hooks: exec, HTTP, sleep (pkg/kubelet/lifecycle)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from kubelet.containers.ports import resolve_port
from kubelet.runtime.execute import execute
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubeling.api.meta import Object
from kubeling.client.clock import Clock


class HookFailed(Exception):
    """The message says how, as the event shows it."""


class HookRunner:
    def __init__(self, runtime: Runtime, clock: Clock, http: httpx.AsyncClient) -> None:
        self._runtime, self._clock, self._http = runtime, clock, http

    async def run(self, hook: Mapping[str, Any], container: Object, container_id: str, ip: str) -> None:
        """Runs the hook to its end; callers set the deadline. Raises HookFailed."""
        if action := hook.get("exec"):
            await self._exec(action.get("command") or [], container_id)
        elif action := hook.get("httpGet"):
            await self._http_get(action, container, ip)
        elif action := hook.get("sleep"):
            await self._clock.sleep(float(action.get("seconds") or 0))
        elif hook:
            raise HookFailed(f"invalid handler: {', '.join(hook)}")

    async def _exec(self, command: list[str], container_id: str) -> None:
        shown = "[" + " ".join(command) + "]"
        try:
            code, output = await execute(self._runtime, container_id, command)
        except RuntimeFailure as err:
            raise HookFailed(f"Exec lifecycle hook ({shown}) failed - error: {err}") from err
        if code:
            raise HookFailed(
                f"Exec lifecycle hook ({shown}) failed - error: command '{' '.join(command)}' exited with {code}: "
                f"{output.decode(errors='replace')}"
            )

    async def _http_get(self, action: Mapping[str, Any], container: Object, ip: str) -> None:
        scheme = (action.get("scheme") or "HTTP").lower()
        try:
            port = resolve_port(action.get("port"), container)
        except ValueError as err:
            raise HookFailed(str(err)) from err
        path = action.get("path") or "/"
        url = f"{scheme}://{action.get('host') or ip}:{port}{path if path.startswith('/') else '/' + path}"
        headers = {h["name"]: h.get("value") or "" for h in action.get("httpHeaders") or ()}
        try:
            await self._http.get(url, headers=headers, timeout=None)
        except httpx.HTTPError as err:
            raise HookFailed(f'HTTP lifecycle hook ({path}) failed - error: Get "{url}": {err}') from err
