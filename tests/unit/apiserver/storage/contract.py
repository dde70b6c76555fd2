"""What every storage must do, as functions of a storage and a prefix of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from apiserver.storage.base import Change, Compacted, Conflict, FutureRevision, Storage

Rule = Callable[[Storage, str], Awaitable[None]]


async def revisions_grow_by_one_a_write(storage: Storage, prefix: str) -> None:
    first = await storage.put(f"{prefix}a", b"1", 0)
    assert await storage.put(f"{prefix}b", b"1", 0) == first + 1
    assert await storage.revision() == first + 1
    found = await storage.get(f"{prefix}a")
    assert found is not None and (found.value, found.revision) == (b"1", first)


async def writes_are_guarded(storage: Storage, prefix: str) -> None:
    first = await storage.put(f"{prefix}a", b"1", 0)
    with pytest.raises(Conflict) as conflict:
        await storage.put(f"{prefix}a", b"2", 0)
    assert conflict.value.current is not None and conflict.value.current.revision == first
    with pytest.raises(Conflict):
        await storage.delete(f"{prefix}a", first + 1)
    assert await storage.delete(f"{prefix}a", first) == first + 1
    with pytest.raises(Conflict) as conflict:
        await storage.delete(f"{prefix}a", first)
    assert conflict.value.current is None


async def pages_are_in_key_order_at_a_revision(storage: Storage, prefix: str) -> None:
    for name in "cab":
        last = await storage.put(f"{prefix}{name}", name.encode(), 0)
    await storage.put(f"{prefix}d", b"d", 0)
    page = await storage.page(prefix, limit=2, revision=last)
    assert [kv.key[-1] for kv in page.items] == ["a", "b"] and page.remaining == 1
    rest = await storage.page(prefix, after=page.items[-1].key + "\0", limit=2, revision=last)
    assert [kv.key[-1] for kv in rest.items] == ["c"] and rest.remaining == 0
    assert len((await storage.page(prefix)).items) == 4
    with pytest.raises(FutureRevision):
        await storage.page(prefix, limit=1, revision=last + 1000)


async def the_watch_tells_every_write_in_order(storage: Storage, prefix: str) -> None:
    start = await storage.put(f"{prefix}a", b"1", 0)
    second = await storage.put(f"{prefix}a", b"2", start)
    await storage.delete(f"{prefix}a", second)
    found: list[Change] = []
    async with asyncio.timeout(5):
        async for batch in storage.watch(start):
            found += batch
            if len(found) == 2:
                break
    assert [(c.value, c.revision) for c in found] == [(b"2", second), (None, second + 1)]


async def compacted_history_is_gone(storage: Storage, prefix: str) -> None:
    first = await storage.put(f"{prefix}a", b"1", 0)
    last = await storage.put(f"{prefix}a", b"2", first)
    await storage.compact(last)
    await storage.compact(first)
    with pytest.raises(Compacted):
        await storage.page(prefix, limit=1, revision=first)
    with pytest.raises(Compacted):
        async with asyncio.timeout(5):
            async for _ in storage.watch(first - 1):
                pass
    assert len((await storage.page(prefix, limit=5, revision=last)).items) == 1


RULES: tuple[Rule, ...] = (
    revisions_grow_by_one_a_write,
    writes_are_guarded,
    pages_are_in_key_order_at_a_revision,
    the_watch_tells_every_write_in_order,
    compacted_history_is_gone,
)
