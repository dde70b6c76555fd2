"""ComponentStatus: whether the other components answer; asked afresh for each request, nothing is stored.

Source: pkg/registry/core/componentstatus. Deprecated since 1.19, still what ``kubectl get cs`` shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import NAME, column
from apiserver.registry.actions import ActionRequest, ActionResult
from apiserver.registry.kind import Kind, Printer
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import COMPONENT_STATUSES, NAMESPACES

_TIMEOUT = 5.0
"""Seconds that a component has to answer."""
_PROBED = {
    "controller-manager": "https://127.0.0.1:10257/healthz",
    "scheduler": "https://127.0.0.1:10259/healthz",
}
Check = Callable[[ActionRequest], Awaitable[tuple[bool, str]]]


def _over_https(url: str) -> Check:
    async def check(request: ActionRequest) -> tuple[bool, str]:
        import httpx  # at first use: see streaming/tunnel.py

        try:
            async with httpx.AsyncClient(verify=False, timeout=_TIMEOUT) as client:  # components sign for themselves
                answer = await client.get(url)
        except httpx.HTTPError:
            address = httpx.URL(url)
            refused = f"dial tcp {address.host}:{address.port}: connect: connection refused"
            return False, f'Get "{url}": {refused}'
        return answer.status_code == 200, answer.text

    return check


async def _etcd(request: ActionRequest) -> tuple[bool, str]:
    """A consistent read goes through etcd, whether or not it finds anything."""
    try:
        await request.registries.of(NAMESPACES).get("default")
    except StatusError as err:
        if not errors.is_not_found(err):
            return False, err.message
    return True, "ok"


_CHECKS: dict[str, Check] = {**{name: _over_https(url) for name, url in _PROBED.items()}, "etcd-0": _etcd}


async def _status(request: ActionRequest, name: str) -> Object:
    healthy, message = await _CHECKS[name](request)
    condition = {"type": "Healthy", "status": "True" if healthy else "False", "message": message}
    return {"metadata": {"name": name}, "conditions": [condition]}


async def read(request: ActionRequest) -> ActionResult:
    """GET of one component or of all of them."""
    name = request.info.name
    if name:
        if name not in _CHECKS:
            raise errors.not_found("", "componentstatus", name)
        return ActionResult({"kind": "ComponentStatus", "apiVersion": "v1", **await _status(request, name)})
    items = await asyncio.gather(*(_status(request, component) for component in _CHECKS))
    return ActionResult({"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": list(items)})


_STATUS_WORDS = {"True": "Healthy", "False": "Unhealthy"}


def _row(obj: Object, now: datetime) -> list[Any]:
    cells = ["Unknown", "", ""]
    for condition in obj.get("conditions") or ():
        if condition.get("type") == "Healthy":
            word = _STATUS_WORDS.get(condition.get("status", ""), "Unknown")
            cells = [word, condition.get("message", ""), condition.get("error", "")]
    return [name_of(obj), *cells]


COMPONENT_STATUS = Kind(
    COMPONENT_STATUSES,
    printer=Printer(
        (
            NAME,
            column("Status", "Status of the component conditions"),
            column("Message", "Message of the component conditions"),
            column("Error", "Error of the component conditions"),
        ),
        _row,
    ),
    actions={"": read},
    deprecation="v1 ComponentStatus is deprecated in v1.19+",
)
