"""An informer's objects, by key and by index. Never mutate what comes out."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Hashable, Iterable, Mapping

from kubeling.api.meta import Key, Object, controller_of, key_of, namespace_of

IndexFunction = Callable[[Object], Iterable[Hashable]]


def by_namespace(obj: Object) -> Iterable[Hashable]:
    """Index values: the object's namespace."""
    yield namespace_of(obj)


def by_controller(obj: Object) -> Iterable[Hashable]:
    """Index values: the uid of the controlling owner."""
    owner = controller_of(obj)
    if owner is not None:
        yield owner.get("uid", "")


def by_owner(obj: Object) -> Iterable[Hashable]:
    """Index values: the uid of every owner."""
    for owner in (obj.get("metadata") or {}).get("ownerReferences") or ():
        yield owner.get("uid", "")


NAMESPACE = "namespace"


class Store:
    """Objects by key, and the sets of keys under each index value. An index keeps the order of insertion."""

    def __init__(self, indexers: Mapping[str, IndexFunction] | None = None) -> None:
        self._objects: dict[Key, Object] = {}
        self._indexers: dict[str, IndexFunction] = {NAMESPACE: by_namespace, **(indexers or {})}
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {name: {} for name in self._indexers}

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def list(self, namespace: str = "") -> builtins.list[Object]:
        """Every object, or every object of a namespace."""
        return self.by_index(NAMESPACE, namespace) if namespace else list(self._objects.values())

    def by_index(self, index: str, value: Hashable) -> builtins.list[Object]:
        """The objects for which the index function gives the value. Raises KeyError for an unknown index."""
        return [self._objects[key] for key in self._indexes[index].get(value, ())]

    def index_values(self, index: str) -> Iterable[Hashable]:
        return self._indexes[index].keys()

    def keys(self) -> Iterable[Key]:
        return self._objects.keys()

    def __len__(self) -> int:
        return len(self._objects)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Adds an index (or keeps the one of that name) over what is stored and what will be."""
        if name in self._indexers:
            return
        self._indexers[name] = function
        index: dict[Hashable, dict[Key, None]] = {}
        for key, obj in self._objects.items():
            for value in function(obj):
                index.setdefault(value, {})[key] = None
        self._indexes[name] = index

    def put(self, obj: Object) -> Object | None:
        """Stores the object; answers what was there."""
        key = key_of(obj)
        old = self._objects.get(key)
        self._objects[key] = obj
        for name, function in self._indexers.items():
            self._move(name, key, list(function(old)) if old is not None else [], list(function(obj)))
        return old

    def remove(self, key: Key) -> Object | None:
        """Drops the object; answers what was there."""
        old = self._objects.pop(key, None)
        if old is not None:
            for name, function in self._indexers.items():
                self._move(name, key, list(function(old)), [])
        return old

    def _move(self, name: str, key: Key, before: builtins.list[Hashable], after: builtins.list[Hashable]) -> None:
        if before == after:
            return
        index = self._indexes[name]
        for value in before:
            if value not in after and value in index:
                index[value].pop(key, None)
                if not index[value]:
                    del index[value]
        for value in after:
            index.setdefault(value, {})[key] = None
