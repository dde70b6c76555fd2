"""How code inside the server (actions, admission, authorization, bootstrap) reads and writes objects of any kind.

``Registries.of(PODS)`` gives the ``Registry`` of a kind. Reads named ``cached*`` answer at once from the watch cache
(never
older than the last event that arrived, possibly behind etcd); ``get`` and ``list`` are consistent.
Objects that come out are fresh copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from apiserver.http.request import LOOPBACK, User
from apiserver.registry.kind import Kind
from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.api.selectors import EVERYTHING, Selector

Change = Callable[[Object], Object | None]
"""Takes the stored object (its own copy, may be changed in place), returns what to store, or None to leave it as it
is."""

Handler = Callable[[Object | None, Object | None], None]
"""Called with (old, new) on the loop: None old = added, None new = deleted. Must not block."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """``admission``: whether the admission chain runs (writes of the server itself mostly skip it). ``owning``: whether
    the manager comes to own what the write changes."""

    user: User = LOOPBACK
    manager: str = "kube-apiserver"
    dry_run: bool = False
    admission: bool = False
    owning: bool = True


SERVER = WriteOptions()


class Registry(Protocol):
    """Objects of one kind. Every failure is a ``StatusError``."""

    @property
    def kind(self) -> Kind: ...

    def cached(self, name: str, namespace: str = "") -> Object | None:
        """As the cache has it; shared with others, so it must not be changed."""
        ...

    def cached_list(self, namespace: str = "", selector: Selector = EVERYTHING) -> list[Object]:
        """As the cache has them; shared with others, so none must be changed."""
        ...

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        """Tells the handler of all objects there are, then of every change; returns what ends it.

        ``old`` is given as it was. Neither must be changed: others are told of the same objects. Use it to keep a derived
        store (RBAC rules, webhook configurations) level with the kind.
        """
        ...

    async def get(self, name: str, namespace: str = "") -> Object: ...

    async def list(self, namespace: str = "", selector: Selector = EVERYTHING) -> list[Object]: ...

    async def create(self, obj: Object, options: WriteOptions = SERVER) -> Object: ...

    async def update(
        self, name: str, change: Change, namespace: str = "", *, subresource: str = "", options: WriteOptions = SERVER
    ) -> Object:
        """Reads, changes and writes, again after a conflict; nothing is written when nothing changed."""
        ...

    async def apply(self, patch: Object, *, subresource: str = "", options: WriteOptions = SERVER) -> Object:
        """Server-side apply by the server itself, to an object that is there: takes the fields over from others."""
        ...

    async def delete(
        self, name: str, namespace: str = "", *, delete_options: Object | None = None, options: WriteOptions = SERVER
    ) -> Object: ...


class Registries(Protocol):
    def of(self, resource: Resource) -> Registry:
        """The registry of a resource that is served; KeyError otherwise."""
        ...

    def find(self, group: str, plural: str) -> Registry | None:
        """The registry of a group's resource in whatever version is stored, None when it is not served."""
        ...

    def find_kind(self, group: str, kind: str) -> Registry | None: ...

    def all(self) -> Sequence[Registry]: ...

    async def wait_synced(self) -> None:
        """Until the cache holds everything that etcd held when the server started."""
        ...
