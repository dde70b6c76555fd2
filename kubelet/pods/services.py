"""Services, for containers' environments."""

from __future__ import annotations

import asyncio
from typing import Protocol

from kubeling.api.meta import Object
from kubeling.client.informer import Informer

_SYNC_SECONDS = 10.0


class Services(Protocol):
    async def list(self) -> list[Object]: ...


class InformedServices:
    """All services of the cluster; the first caller waits until they are known."""

    def __init__(self, informer: Informer) -> None:
        self._informer = informer

    async def list(self) -> list[Object]:
        if not self._informer.synced:
            async with asyncio.timeout(_SYNC_SECONDS):
                await self._informer.wait_synced()
        return self._informer.store.list()


class NoServices:
    """A kubelet without an API server."""

    async def list(self) -> list[Object]:
        return []
