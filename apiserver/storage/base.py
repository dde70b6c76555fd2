"""The contract of storage: revisioned keys, guarded transactions, one ordered watch.

A revision is a counter of the whole store; every successful write raises it by one, and the key it touched carries
it as
its ``revision``. Implementations: ``etcd.EtcdStorage`` and ``memory.MemoryStorage``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyValue:
    """``revision`` is that of the last write to the key."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One write as the watch tells it: ``value`` is None for a deletion."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a range. ``revision``: of the store at reading; ``remaining``: keys after the last one given."""

    items: Sequence[KeyValue]
    revision: int
    remaining: int


class StorageError(Exception):
    """Base of what storage raises."""


class Conflict(StorageError):
    """The key is not at the expected revision; ``current`` is what it holds now (None: nothing)."""

    def __init__(self, current: KeyValue | None) -> None:
        super().__init__("the key is at another revision")
        self.current = current


class Compacted(StorageError):
    """The revision asked for is gone; ``revision`` is the oldest that remains (0 where unknown)."""

    def __init__(self, revision: int = 0) -> None:
        super().__init__("the revision is compacted")
        self.revision = revision


class FutureRevision(StorageError):
    """The revision asked for has not happened yet."""


class Unavailable(StorageError):
    """The store cannot be reached or does not answer in time."""


class Storage(Protocol):
    async def revision(self) -> int:
        """The store's current revision; linearizable."""
        ...

    async def get(self, key: str) -> KeyValue | None:
        """Linearizable."""
        ...

    async def page(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Keys that start with ``prefix`` in key order, from ``after`` (inclusive) on, at a revision (0: now).

        Raises ``Compacted`` and ``FutureRevision``.
        """
        ...

    async def put(self, key: str, value: bytes, expected: int, ttl: int = 0) -> int:
        """Writes when the key is at ``expected`` (0: does not exist); returns the new revision.

        ``ttl`` in seconds, 0 for ever. Raises ``Conflict``.
        """
        ...

    async def delete(self, key: str, expected: int) -> int:
        """Deletes when the key is at ``expected``; returns the revision of the deletion. Raises ``Conflict``."""
        ...

    def watch(self, after: int) -> AsyncIterator[Sequence[Change]]:
        """Every write after a revision in order; a batch never splits a revision. Raises ``Compacted``,
        ``Unavailable``."""
        ...

    async def compact(self, revision: int) -> None:
        """Forgets history before the revision; harmless when that has happened already."""
        ...

    async def close(self) -> None: ...
