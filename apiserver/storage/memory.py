"""Storage in memory with etcd's semantics, for unit tests where no etcd is at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from apiserver.storage.base import Change, Compacted, Conflict, FutureRevision, KeyValue, Page


class MemoryStorage:
    """Keeps the whole history since the last compaction. ``ttl`` is accepted and ignored: nothing expires."""

    def __init__(self) -> None:
        self._revision = 1
        self._compacted = 0
        self._history: list[Change] = []
        self._current: dict[str, KeyValue] = {}
        self._written = asyncio.Condition()

    async def revision(self) -> int:
        return self._revision

    async def get(self, key: str) -> KeyValue | None:
        return self._current.get(key)

    async def page(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        state = self._current if not revision else self._at(revision)
        keys = sorted(k for k in state if k.startswith(prefix) and k >= after)
        chosen = keys[:limit] if limit else keys
        return Page([state[k] for k in chosen], self._revision, len(keys) - len(chosen))

    def _at(self, revision: int) -> dict[str, KeyValue]:
        if revision > self._revision:
            raise FutureRevision("required revision is a future revision")
        if revision < self._compacted:
            raise Compacted(self._compacted)
        state: dict[str, KeyValue] = {}
        for change in self._history:
            if change.revision > revision:
                break
            if change.value is None:
                state.pop(change.key, None)
            else:
                state[change.key] = KeyValue(change.key, change.value, change.revision)
        return state

    async def put(self, key: str, value: bytes, expected: int, ttl: int = 0) -> int:
        self._check(key, expected)
        return await self._record(key, value)

    async def delete(self, key: str, expected: int) -> int:
        self._check(key, expected)
        return await self._record(key, None)

    def _check(self, key: str, expected: int) -> None:
        current = self._current.get(key)
        if (current.revision if current else 0) != expected:
            raise Conflict(current)

    async def _record(self, key: str, value: bytes | None) -> int:
        self._revision += 1
        revision = self._revision
        self._history.append(Change(key, value, revision))
        if value is None:
            del self._current[key]
        else:
            self._current[key] = KeyValue(key, value, revision)
        async with self._written:
            self._written.notify_all()
        return revision

    async def watch(self, after: int) -> AsyncIterator[Sequence[Change]]:
        if after + 1 < self._compacted:
            raise Compacted(self._compacted)
        while True:
            batch = [c for c in self._history if c.revision > after]
            if batch:
                after = batch[-1].revision
                yield batch
                continue
            async with self._written:
                if self._revision <= after:
                    await self._written.wait()

    async def compact(self, revision: int) -> None:
        """History stays readable for ``_at`` from the compacted revision on: it is replaced by the state there."""
        if revision <= self._compacted:
            return
        state = self._at(revision)
        kept = [Change(kv.key, kv.value, kv.revision) for kv in state.values()]
        later = [c for c in self._history if c.revision > revision]
        self._history = sorted(kept, key=lambda c: c.revision) + later
        self._compacted = revision

    async def close(self) -> None:
        return None
