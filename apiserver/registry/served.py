"""Which resources are served right now, in which versions, and by which kind.

The catalogue changes at run time: registering a kind makes routes, discovery and OpenAPI follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apiserver.cache.entry import head_of
from apiserver.registry.kind import Conversion, Kind, Printer, Strategy
from kubeling.api.meta import Object
from kubeling.api.resource import Resource, Subresource

_TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Served:
    """One version of a kind as it is served. ``conversion`` is None for the version that is stored."""

    resource: Resource
    kind: Kind
    conversion: Conversion | None
    head: bytes
    terminating: bool = False
    """The definition of the custom kind is being deleted: nothing new is taken in."""

    @property
    def verbs(self) -> tuple[str, ...]:
        """What discovery says can be done."""
        return _TERMINATING_VERBS if self.terminating else self.resource.verbs

    @property
    def typed_items(self) -> bool:
        """Items of a list carry kind and apiVersion."""
        return self.kind.custom

    @property
    def strategy(self) -> Strategy:
        """For defaults of this version."""
        return self.conversion.strategy if self.conversion else self.kind.strategy

    @property
    def printer(self) -> Printer | None:
        """Without one of its own, another version is shown as the stored one is."""
        conversion, stored = self.conversion, self.kind.printer
        if conversion is None or stored is None:
            return stored
        return conversion.printer or Printer(
            stored.columns, lambda obj, now: stored.row(conversion.to_storage(obj), now)
        )

    def to_storage(self, obj: Object) -> Object:
        return self.conversion.to_storage(obj) if self.conversion else obj

    def from_storage(self, obj: Object) -> Object:
        return self.conversion.from_storage(obj) if self.conversion else obj

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.resource.subresources if s.name == name), None)


def served_versions(kind: Kind) -> list[Served]:
    """The stored version and every converted one."""
    pairs: list[tuple[Resource, Conversion | None]] = [(kind.resource, None)]
    pairs += [(c.resource, c) for c in kind.versions]
    return [Served(r, kind, c, head_of(r.kind, r.api_version)) for r, c in pairs]


class Catalog:
    """All that is served, by group, version and plural. ``listeners`` hear of every change."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str, str], Served] = {}
        self._listeners: list[Callable[[], None]] = []
        self.generation = 0

    def add(self, versions: list[Served]) -> None:
        for served in versions:
            self._served[_key(served.resource)] = served
        self._changed()

    def remove(self, versions: list[Served]) -> None:
        for served in versions:
            self._served.pop(_key(served.resource), None)
        self._changed()

    def find(self, group: str, version: str, plural: str) -> Served | None:
        return self._served.get((group, version, plural))

    def all(self) -> list[Served]:
        return list(self._served.values())

    def has_builtin(self, group: str, version: str) -> bool:
        """Whether a kind of the server's own is served in the version."""
        return any(g == group and v == version and not s.kind.custom for (g, v, _), s in self._served.items())

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def _changed(self) -> None:
        self.generation += 1
        for listener in self._listeners:
            listener()


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural
