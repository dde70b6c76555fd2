"""Registries that are dictionaries, for code that reads and writes objects through the facade."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from apiserver.registry.facade import SERVER, Change, Handler, WriteOptions
from apiserver.registry.kind import Kind
from kubeling.api import errors
from kubeling.api.meta import Key, Object, key_of
from kubeling.api.resource import Resource
from kubeling.api.selectors import EVERYTHING, Selector


class DictRegistry:
    """One kind's objects in a dictionary; ``written`` counts the writes."""

    def __init__(self, resource: Resource) -> None:
        self.kind = Kind(resource)
        self.objects: dict[Key, Object] = {}
        self.written = 0
        self._handlers: list[Handler] = []

    def cached(self, name: str, namespace: str = "") -> Object | None:
        return copy.deepcopy(self.objects.get(Key(namespace, name)))

    def cached_list(self, namespace: str = "", selector: Selector = EVERYTHING) -> list[Object]:
        return [copy.deepcopy(o) for k, o in sorted(self.objects.items()) if not namespace or k.namespace == namespace]

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        self._handlers.append(handler)
        for obj in self.objects.values():
            handler(None, obj)
        return lambda: self._handlers.remove(handler)

    async def get(self, name: str, namespace: str = "") -> Object:
        found = self.cached(name, namespace)
        if found is None:
            raise errors.not_found(self.kind.resource.group, self.kind.resource.plural, name)
        return found

    async def list(self, namespace: str = "", selector: Selector = EVERYTHING) -> list[Object]:
        return self.cached_list(namespace, selector)

    async def create(self, obj: Object, options: WriteOptions = SERVER) -> Object:
        if key_of(obj) in self.objects:
            raise errors.already_exists(self.kind.resource.group, self.kind.resource.plural, key_of(obj).name)
        self._put(copy.deepcopy(obj))
        return obj

    async def update(
        self, name: str, change: Change, namespace: str = "", *, subresource: str = "", options: WriteOptions = SERVER
    ) -> Object:
        changed = change(await self.get(name, namespace))
        if changed is not None:
            self._put(changed)
        return await self.get(name, namespace)

    async def apply(self, patch: Object, *, subresource: str = "", options: WriteOptions = SERVER) -> Object:
        """Knows of no ownership: what the patch says replaces what was there."""
        key = key_of(patch)
        stored = await self.get(key.name, key.namespace)
        self._put({**stored, **patch, "metadata": stored["metadata"]})
        return await self.get(key.name, key.namespace)

    async def delete(
        self, name: str, namespace: str = "", *, delete_options: Object | None = None, options: WriteOptions = SERVER
    ) -> Object:
        old = await self.get(name, namespace)
        del self.objects[Key(namespace, name)]
        for handler in self._handlers:
            handler(old, None)
        return old

    def _put(self, obj: Object) -> None:
        old = self.objects.get(key_of(obj))
        self.objects[key_of(obj)] = obj
        self.written += 1
        for handler in self._handlers:
            handler(old, obj)


class DictRegistries:
    """Serves any resource that is asked for."""

    def __init__(self) -> None:
        self._registries: dict[tuple[str, str], DictRegistry] = {}

    def of(self, resource: Resource) -> DictRegistry:
        return self._registries.setdefault((resource.group, resource.plural), DictRegistry(resource))

    def find(self, group: str, plural: str) -> DictRegistry | None:
        return self._registries.get((group, plural))

    def find_kind(self, group: str, kind: str) -> DictRegistry | None:
        return next((r for r in self.all() if (r.kind.resource.group, r.kind.resource.kind) == (group, kind)), None)

    def all(self) -> list[DictRegistry]:
        return list(self._registries.values())

    async def wait_synced(self) -> None:
        return None

    def put(self, resource: Resource, *objects: Any) -> None:
        """Stores objects as they are."""
        for obj in objects:
            self.of(resource)._put(obj)


@pytest.fixture
def registries() -> DictRegistries:
    return DictRegistries()
