"""The hub: one watch of the whole store, handed out to the caches of the kinds.

It watches every key, not only ``/registry/``, so that its revision always reaches the store's: a read that waits for
the store's current revision never needs a progress request.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging

from apiserver.cache.kind_cache import KindCache
from apiserver.storage.base import Change, Compacted, Storage, StorageError, Unavailable

log = logging.getLogger("apiserver.cache")

_RETRY_SECONDS = 0.2
_GATHER_MOST = 0.0005
_GATHER_EACH = 10e-6
"""Under load the next question waits a moment for each reader that the last one served: asking costs more than a read."""


class Hub:
    """Keeps the caches of all kinds level with the store. ``run`` must be running."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.revision = 0
        """Every change up to this one has been taken in."""
        self._kinds: dict[str, tuple[KindCache, ...]] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._started: asyncio.Future[None] | None = None
        self._asking: asyncio.Task[int] | None = None
        self._next_asking: asyncio.Task[int] | None = None
        self._readers = 0

    async def start(self) -> None:
        """Takes the store's revision as the starting point; ``run`` follows from there."""
        self.revision = await self.storage.revision()

    def add(self, cache: KindCache) -> None:
        """Changes for the kind are kept from now on; ``sync`` loads what is there. A cache that is to replace another
        takes the same changes beside it until the other is removed."""
        self._kinds[cache.prefix] = (*self._kinds.get(cache.prefix, ()), cache)

    def remove(self, cache: KindCache) -> None:
        caches = self._kinds.get(cache.prefix, ())
        if not any(c is cache for c in caches):
            return
        left = tuple(c for c in caches if c is not cache)
        if left:
            self._kinds[cache.prefix] = left
        else:
            del self._kinds[cache.prefix]
        cache.unload()

    async def sync(self, cache: KindCache) -> None:
        """Loads the kind from the store."""
        page = await self.storage.page(cache.prefix)
        cache.load(page.items, page.revision)

    async def sync_all(self) -> None:
        await asyncio.gather(*(self.sync(cache) for cache in self._caches() if not cache.synced))

    def _caches(self) -> list[KindCache]:
        return [cache for caches in self._kinds.values() for cache in caches]

    async def run(self) -> None:
        """Follows the store for ever: resumes after a lost connection, loads again after compaction."""
        while True:
            try:
                async for batch in self.storage.watch(self.revision):
                    for change in batch:
                        self._apply(change)
                    self._advance(batch[-1].revision)
            except Compacted:
                log.warning("the watch fell behind compaction: loading everything again")
                await self._reload()
            except Unavailable as err:
                log.warning("lost the watch: %s", err)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _reload(self) -> None:
        for cache in self._caches():
            cache.unload()
        while True:
            try:
                self.revision = await self.storage.revision()
                await self.sync_all()
            except StorageError as err:
                log.warning("cannot load: %s", err)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _apply(self, change: Change) -> None:
        parts = change.key.split("/", 4)
        if len(parts) < 4 or parts[1] != "registry":
            return
        caches = self._kinds.get(f"/registry/{parts[2]}/{parts[3]}/") or self._kinds.get(f"/registry/{parts[2]}/", ())
        for cache in caches:
            try:
                cache.apply(change)
            except (ValueError, KeyError, TypeError, AttributeError) as err:
                log.error("skipping %s at revision %d: not an object of ours: %r", change.key, change.revision, err)

    def _advance(self, revision: int) -> None:
        self.revision = revision
        while self._waiters and self._waiters[0][0] <= revision:
            waiter = heapq.heappop(self._waiters)[2]
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, revision: int) -> None:
        """Until the cache has taken everything up to ``revision`` in."""
        if self.revision >= revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (revision, next(self._order), waiter))
        await waiter

    async def catch_up(self) -> int:
        """Makes reads that follow linearizable: asks the store for its revision and waits for the cache to reach it.

        One question serves all that ask before it is put; who comes while one is under way takes the next.
        """
        if self._next_asking is not None:
            task = self._next_asking
        elif self._asking is not None:
            task = self._next_asking = asyncio.ensure_future(self._ask_after(self._asking))
        else:
            task = self._asking = asyncio.ensure_future(self.storage.revision())
            task.add_done_callback(self._asked)
        self._readers += 1
        revision = await asyncio.shield(task)
        await self.wait_for(revision)
        return revision

    def _asked(self, task: asyncio.Task[int]) -> None:
        if self._asking is task:
            self._asking = None

    def _closed_at_question(self) -> None:
        """The question is about to be put: who comes from here on must wait for another."""
        self._asking, self._next_asking, self._readers = self._next_asking, None, 0
        if self._asking is not None:
            self._asking.add_done_callback(self._asked)

    async def _ask_after(self, current: asyncio.Task[int]) -> int:
        await asyncio.wait([current])
        readers = self._readers
        if readers > 1:
            await asyncio.sleep(min(_GATHER_MOST, readers * _GATHER_EACH))
        self._closed_at_question()
        return await self.storage.revision()
