"""The loop of what the API server itself says in the status of objects: level-triggered, all objects at once."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime

from apiserver.registry.facade import Registries
from kubeling.api import errors
from kubeling.api.meta import Object, utcnow
from kubeling.api.resource import Resource

_LOG = logging.getLogger(__name__)
_RETRY = 1.0


class StatusLoop(ABC):
    """Acts whenever an object of the ``watched`` kinds changed; ``_reconcile`` looks at all of them."""

    watched: tuple[Resource, ...] = ()

    def __init__(self, registries: Registries, clock: Callable[[], datetime] = utcnow) -> None:
        self._registries = registries
        self._clock = clock
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Forever; a failure is logged and tried again."""
        ends = [self._registries.of(resource).subscribe(self._wake) for resource in self.watched]
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._reconcile()
        finally:
            for end in ends:
                end()

    def _wake(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    @abstractmethod
    async def _reconcile(self) -> None: ...

    async def _attempt(self, write: Awaitable[Object], failure: str) -> Object | None:
        """What the write answers; None when it failed: an object that is gone is left, others are looked at again."""
        try:
            return await write
        except errors.StatusError as error:
            if not errors.is_not_found(error):
                _LOG.warning(failure, extra={"error": error.message})
                await asyncio.sleep(_RETRY)
                self._changed.set()
            return None
