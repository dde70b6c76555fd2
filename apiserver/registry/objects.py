"""Objects of one kind in the store: create, change, delete, each one guarded transaction.

No policy here: what may be written is decided by the callers (``create``, ``update``, ``delete`` beside this module).
Model: GuaranteedUpdate of k8s.io/apiserver/pkg/storage/etcd3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass

import orjson

from apiserver.cache.entry import encode
from apiserver.cache.hub import Hub
from apiserver.cache.kind_cache import KindCache
from apiserver.registry.kind import Kind
from apiserver.storage.base import Conflict, KeyValue, Storage
from kubeling.api import errors
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object, key_of
from kubeling.api.resource import Resource


def copy_object(obj: Object) -> Object:
    """A deep copy of plain JSON, faster than ``copy.deepcopy``."""
    copied: Object = orjson.loads(orjson.dumps(obj))
    return copied


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is stored, with its resourceVersion set; ``fresh`` when it came from the store and not the
    cache, with the bytes as they lie there."""

    obj: Object
    revision: int
    fresh: bool
    value: bytes = b""

    def is_stale(self) -> bool:
        """Whether the bytes of a fresh one are in an older form than the object would be stored in now: another
        storage version, or a schema that has changed since. The order of the fields counts for nothing."""
        present = encode(self.obj)
        return present != self.value and orjson.loads(present) != orjson.loads(self.value)


class Remove(Exception):
    """Raised by a change that wants the object gone instead of written; ``obj`` is what the caller gets back."""

    def __init__(self, obj: Object) -> None:
        super().__init__("remove")
        self.obj = obj


Change = Callable[[Object], Awaitable[Object]]
"""Old object to new one. Called again with the newer state after a conflict; must not change its argument."""


class Objects:
    """Reads and guarded writes of one kind."""

    def __init__(self, kind: Kind, storage: Storage, hub: Hub, cache: KindCache) -> None:
        self.kind = kind
        self.resource = kind.resource
        self.storage = storage
        self.hub = hub
        self.cache = cache

    def named(self, resource: Resource) -> Objects:
        """The same objects; what is wrong with them is told in the name of the resource that was asked for."""
        if resource.group == self.resource.group:
            return self
        renamed = copy(self)
        renamed.resource = resource
        return renamed

    def path(self, namespace: str, name: str) -> str:
        """The key in the store."""
        return f"{self.cache.prefix}{namespace}/{name}" if namespace else f"{self.cache.prefix}{name}"

    @staticmethod
    def key(namespace: str, name: str) -> str:
        """The key in the cache."""
        return f"{namespace}/{name}" if namespace else name

    def not_found(self, name: str) -> StatusError:
        return errors.not_found(self.resource.group, self.resource.plural, name)

    def conflict(self, name: str, why: str = errors.OPTIMISTIC_LOCK_MESSAGE) -> StatusError:
        return errors.conflict(self.resource.group, self.resource.plural, name, why)

    def cached(self, namespace: str, name: str) -> Stored | None:
        entry = self.cache.get(self.key(namespace, name))
        return Stored(entry.decode(self.cache.form), entry.revision, False) if entry else None

    async def fetch(self, namespace: str, name: str) -> Stored:
        """From the store itself. Raises 404."""
        return self._stored(await self.storage.get(self.path(namespace, name)), name)

    def _stored(self, found: KeyValue | None, name: str) -> Stored:
        if found is None:
            raise self.not_found(name)
        obj = orjson.loads(found.value)
        if self.kind.read is not None:
            obj = self.kind.read(obj)
        obj["metadata"]["resourceVersion"] = str(found.revision)
        return Stored(obj, found.revision, True, found.value)

    async def create(self, obj: Object, ttl: int = 0, *, dry_run: bool = False) -> Object:
        """Stores a new object; the result carries its resourceVersion. Raises 409 AlreadyExists, dry run or not."""
        key = key_of(obj)
        try:
            if dry_run:
                if await self.storage.get(self.path(*key)):
                    raise Conflict(None)
                return obj
            revision = await self.storage.put(self.path(*key), encode(obj), 0, ttl)
        except Conflict:
            raise errors.already_exists(self.resource.group, self.resource.plural, key.name) from None
        return with_version(obj, revision)

    async def change(self, namespace: str, name: str, change: Change, *, dry_run: bool = False, ttl: int = 0) -> Object:
        """Applies a change until it sticks. What is equal to the stored object is not written, unless it is stored in an
        old form: then writing it again is what brings it to the present one.

        The first attempt takes the cached state. A failure that may come of its age is tried again on the fresh one.
        """
        current = self.cached(namespace, name) or await self.fetch(namespace, name)
        path = self.path(namespace, name)
        while True:
            try:
                new = await change(current.obj)
                if dry_run:
                    return new
                if new == current.obj:
                    latest = current if current.fresh else await self.fetch(namespace, name)
                    if latest.revision != current.revision:
                        current = latest
                        continue
                    if not latest.is_stale():
                        return new
                revision = await self.storage.put(path, encode(new), current.revision, ttl)
                return with_version(new, revision)
            except Remove as removal:
                if dry_run:
                    return removal.obj
                try:
                    revision = await self.storage.delete(path, current.revision)
                    return with_version(removal.obj, revision)
                except Conflict as conflict:
                    current = self._stored(conflict.current, name)
            except Conflict as conflict:
                current = self._stored(conflict.current, name)
            except StatusError:
                if current.fresh:
                    raise
                latest = await self.fetch(namespace, name)
                if latest.revision == current.revision:
                    raise
                current = latest


def with_version(obj: Object, revision: int) -> Object:
    """Sets the resourceVersion in place."""
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj
