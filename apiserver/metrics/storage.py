"""Storage: what is stored and how long etcd takes (k8s.io/apiserver/pkg/storage/etcd3/metrics)."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence

from apiserver.metrics.families import REQUEST_BUCKETS, Labels, counter, gauge, histogram
from apiserver.metrics.histogram import Histogram
from apiserver.registry.registries import ServerRegistries
from apiserver.storage.base import Change, Conflict, KeyValue, Page, Storage, StorageError

_ETCD = ("operation", "group", "resource")
_RESOURCE = ("group", "resource")


def folder_of(key: str) -> str:
    """The kind's part of a key: ``pods``, ``apiregistration.k8s.io/apiservices``."""
    parts = key.split("/", 4)
    if len(parts) > 3 and "." in parts[2]:
        return f"{parts[2]}/{parts[3]}"
    return parts[2] if len(parts) > 2 else ""


class MeasuredStorage:
    """A storage that times every request to the one inside. A guard that does not hold is an answer, no error."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner
        self.seconds: dict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(REQUEST_BUCKETS))
        """By operation and folder."""
        self.errors: Counter[tuple[str, str]] = Counter()

    def _done(self, operation: str, key: str, began: float) -> None:
        self.seconds[operation, folder_of(key)].observe(time.perf_counter() - began)

    async def revision(self) -> int:
        return await self._inner.revision()

    async def get(self, key: str) -> KeyValue | None:
        began = time.perf_counter()
        try:
            return await self._inner.get(key)
        except StorageError:
            self.errors["get", folder_of(key)] += 1
            raise
        finally:
            self._done("get", key, began)

    async def page(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        began = time.perf_counter()
        try:
            return await self._inner.page(prefix, after=after, limit=limit, revision=revision)
        except StorageError:
            self.errors["list", folder_of(prefix)] += 1
            raise
        finally:
            self._done("list", prefix, began)

    async def put(self, key: str, value: bytes, expected: int, ttl: int = 0) -> int:
        began, operation = time.perf_counter(), "update" if expected else "create"
        try:
            return await self._inner.put(key, value, expected, ttl)
        except Conflict:
            raise
        except StorageError:
            self.errors[operation, folder_of(key)] += 1
            raise
        finally:
            self._done(operation, key, began)

    async def delete(self, key: str, expected: int) -> int:
        began = time.perf_counter()
        try:
            return await self._inner.delete(key, expected)
        except Conflict:
            raise
        except StorageError:
            self.errors["delete", folder_of(key)] += 1
            raise
        finally:
            self._done("delete", key, began)

    def watch(self, after: int) -> AsyncIterator[Sequence[Change]]:
        return self._inner.watch(after)

    async def compact(self, revision: int) -> None:
        await self._inner.compact(revision)

    async def close(self) -> None:
        await self._inner.close()


def collect(registries: ServerRegistries, storage: MeasuredStorage) -> Iterator[str]:
    found = list(registries.all())
    resources = {r.kind.storage_prefix.removeprefix("/registry/").strip("/"): r.kind.resource for r in found}

    def labelled(operation: str, folder: str) -> Labels:
        resource = resources.get(folder)
        return (operation, resource.group, resource.plural) if resource else (operation, "", folder)

    seconds = {labelled(*key): found_ for key, found_ in storage.seconds.items()}
    yield histogram(
        "etcd_request_duration_seconds",
        "[ALPHA] Etcd request latency in seconds for each operation and object type.",
        _ETCD,
        seconds,
    )
    yield counter(
        "etcd_requests",
        "[ALPHA] Etcd request counts for each operation and object type.",
        _ETCD,
        {labels: found_.total for labels, found_ in seconds.items()},
    )
    yield counter(
        "etcd_request_errors",
        "[ALPHA] Etcd failed request counts for each operation and object type.",
        _ETCD,
        {labelled(*key): count for key, count in storage.errors.items()},
    )
    counts = [((r.kind.resource.group, r.kind.resource.plural), len(r.objects.cache)) for r in found]
    yield gauge(
        "apiserver_storage_objects",
        "[STABLE] [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of "
        "last check split by kind. In case of a fetching error, the value will be -1.",
        ("resource",),
        (((r.kind.resource.qualified,), len(r.objects.cache)) for r in found),
    )
    yield gauge(
        "apiserver_resource_objects",
        "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value "
        "will be -1.",
        _RESOURCE,
        counts,
    )
    yield counter(
        "apiserver_storage_events_received",
        "[BETA] Number of etcd events received split by kind.",
        _RESOURCE,
        {
            (r.kind.resource.group, r.kind.resource.plural): r.objects.cache.received
            for r in found
            if r.objects.cache.received
        },
    )
    yield counter(
        "apiserver_watch_events",
        "[ALPHA] Number of events sent in watch clients",
        ("group", "version", "resource"),
        {
            (r.kind.resource.group, r.kind.resource.version, r.kind.resource.plural): r.objects.cache.sent
            for r in found
            if r.objects.cache.sent
        },
    )
    yield counter(
        "kubeling_watch_event_encodings",
        "[ALPHA] Number of times the bytes of an event were made for watch clients, who share them.",
        _RESOURCE,
        {
            (r.kind.resource.group, r.kind.resource.plural): r.objects.cache.encoded
            for r in found
            if r.objects.cache.encoded
        },
    )
