"""Compaction of etcd every five minutes, as upstream's compactor does it.

Several servers share one clock, the key ``compact_rev_key``: whoever moves it compacts to the revision that the key
had five minutes ago, everyone else waits again. So history lives five to ten minutes.
"""

from __future__ import annotations

import asyncio
import logging

from apiserver.storage.base import Conflict, Storage, StorageError

log = logging.getLogger("apiserver.compaction")

KEY = "compact_rev_key"


class Compactor:
    """``interval`` in seconds."""

    def __init__(self, storage: Storage, interval: float) -> None:
        self._storage = storage
        self._interval = interval
        self._seen = 0
        self._revision = 0

    async def run(self) -> None:
        """For ever; a failure is logged and tried again at the next turn."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.turn()
            except StorageError as err:
                log.warning("compaction failed: %s", err)

    async def turn(self) -> None:
        """Moves the clock on if nobody else did since the last turn, and compacts then."""
        current = await self._storage.revision()
        try:
            moved = await self._storage.put(KEY, str(current).encode(), self._seen)
        except Conflict as conflict:
            found = conflict.current
            self._seen = found.revision if found else 0
            self._revision = int(found.value) if found and found.value.isdigit() else 0
            return
        previous, self._seen, self._revision = self._revision, moved, current
        if previous:
            await self._storage.compact(previous)
            log.info("compacted", extra={"revision": previous})
