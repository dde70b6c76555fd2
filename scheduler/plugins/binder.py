"""Binding through the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scheduler.framework.plugin import Plugin
from scheduler.model.pod import PodInfo

Bind = Callable[[PodInfo, str], Awaitable[None]]


class DefaultBinder(Plugin):
    """Posts the pod's ``binding`` subresource; the shell gives it the way to do so."""

    name = "DefaultBinder"

    def __init__(self, args: Mapping[str, Any]) -> None:
        super().__init__(args)
        self.write: Bind | None = None

    async def bind(self, pod: PodInfo, node: str) -> bool:
        if self.write is None:
            return False
        await self.write(pod, node)
        return True
