"""The registry of one kind: everything that can be done with its objects, for requests and for code in the server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from apiserver.cache.entry import Entry, Event, EventType
from apiserver.registry import create as creating
from apiserver.registry import delete as deleting
from apiserver.registry import update as updating
from apiserver.registry.delete import Deleted
from apiserver.registry.facade import SERVER, Change, Handler, WriteOptions
from apiserver.registry.kind import Kind, Strategy
from apiserver.registry.listing import make_fresh
from apiserver.registry.objects import Objects, copy_object
from apiserver.registry.served import Served
from apiserver.registry.update import Make
from apiserver.registry.write import NoHooks, Policies, Write, WriteHooks
from kubeling.api.meta import Object, name_of, namespace_of
from kubeling.api.selectors import EVERYTHING, Selector

Clock = Callable[[], datetime]

_MAX_DECODED = 1024
"""Decoded objects of a kind that are kept for code in the server."""


class NothingToChange(Exception):
    """A change function of the facade returned None."""


class ResourceRegistry:
    """Implements ``facade.Registry``. ``served`` is the stored version."""

    def __init__(
        self, served: Served, objects: Objects, policies: Policies, clock: Clock, hooks: WriteHooks | None = None
    ) -> None:
        self.served = served
        self.objects = objects
        self.policies = policies
        self.clock = clock
        self.hooks: WriteHooks = hooks or NoHooks()
        self._decoded: dict[str, tuple[Entry, Object]] = {}

    @property
    def kind(self) -> Kind:
        return self.served.kind

    # for requests

    async def create_object(self, write: Write, obj: Object, namespace: str, *, tracked: bool = False) -> Object:
        objects = self.objects.named(write.served.resource)
        return await creating.create(objects, self.policies, self.hooks, write, obj, namespace, tracked=tracked)

    async def update_object(
        self,
        write: Write,
        namespace: str,
        name: str,
        make: Make,
        strategy: Strategy,
        *,
        tracked: bool = False,
        uid: str = "",
    ) -> Object:
        objects = self.objects.named(write.served.resource)
        return await updating.update(
            objects, self.policies, self.hooks, write, namespace, name, make, strategy,
            tracked=tracked, uid=uid,
        )  # fmt: skip

    async def delete_object(self, write: Write, namespace: str, name: str, options: Object) -> Deleted:
        objects = self.objects.named(write.served.resource)
        return await deleting.delete(objects, self.policies, self.hooks, write, namespace, name, options)

    def strategy_of(self, subresource: str) -> Strategy:
        """The strategy of the object itself or of a subresource that is an update. Raises KeyError."""
        if not subresource:
            return self.kind.strategy
        if subresource == "status" and self.kind.status is not None:
            return self.kind.status
        return self.kind.updates[subresource]

    # for code in the server (facade.Registry)

    def cached(self, name: str, namespace: str = "") -> Object | None:
        entry = self.objects.cache.get(self.objects.key(namespace, name))
        return self._shared(entry) if entry else None

    def _shared(self, entry: Entry) -> Object:
        """The entry decoded, once for all that ask while it stays: most requests look at the same few objects."""
        known = self._decoded.get(entry.key)
        if known is not None and known[0] is entry:
            return known[1]
        if len(self._decoded) >= _MAX_DECODED:
            self._decoded.clear()
        obj = entry.decode(self.objects.cache.form)
        self._decoded[entry.key] = (entry, obj)
        return obj

    def cached_list(self, namespace: str = "", selector: Selector = EVERYTHING) -> list[Object]:
        cache = self.objects.cache
        return [
            self._shared(entry)
            for entry in cache.scan(f"{namespace}/" if namespace else "")
            if selector.empty or selector.matches(entry.labels)
        ]

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        cache = self.objects.cache

        def deliver(event: Event) -> None:
            new = (event.obj or event.entry.decode(cache.form)) if event.type is not EventType.DELETED else None
            handler(event.old.decode(cache.form) if event.old else None, new)

        for entry in list(cache.scan()):
            handler(None, entry.decode(cache.form))
        return cache.listen(deliver)

    async def get(self, name: str, namespace: str = "") -> Object:
        await make_fresh(self.objects, None)
        found = self.objects.cached(namespace, name)
        if found is None:
            raise self.objects.not_found(name)
        return found.obj

    async def list(self, namespace: str = "", selector: Selector = EVERYTHING) -> list[Object]:
        await make_fresh(self.objects, None)
        return [copy_object(obj) for obj in self.cached_list(namespace, selector)]

    async def create(self, obj: Object, options: WriteOptions = SERVER) -> Object:
        obj = copy_object(obj)
        resource = self.kind.resource
        obj.setdefault("kind", resource.kind)
        obj.setdefault("apiVersion", resource.api_version)
        self.kind.strategy.default(obj)
        return await self.create_object(self._write(options, "CreateOptions"), obj, namespace_of(obj))

    async def update(
        self, name: str, change: Change, namespace: str = "", *, subresource: str = "", options: WriteOptions = SERVER
    ) -> Object:
        unchanged: Object = {}

        def make(old: Object) -> Object:
            nonlocal unchanged
            unchanged = old
            new = change(copy_object(old))
            if new is None:
                raise NothingToChange
            return new

        write = self._write(options, "UpdateOptions", subresource)
        try:
            strategy = self.strategy_of(subresource)
            return await self.update_object(write, namespace, name, make, strategy, tracked=not options.owning)
        except NothingToChange:
            return unchanged

    async def apply(self, patch: Object, *, subresource: str = "", options: WriteOptions = SERVER) -> Object:
        write = self._write(options, "PatchOptions", subresource)
        managers = self.policies.manager_for(self.served, subresource)

        def make(old: Object) -> Object:
            if managers is None:
                return {**copy_object(old), **copy_object(patch), "metadata": copy_object(old)["metadata"]}
            return managers.apply(old, patch, options.manager, True, subresource, write.now)

        strategy = self.strategy_of(subresource)
        return await self.update_object(write, namespace_of(patch), name_of(patch), make, strategy, tracked=True)

    async def delete(
        self, name: str, namespace: str = "", *, delete_options: Object | None = None, options: WriteOptions = SERVER
    ) -> Object:
        write = self._write(options, "DeleteOptions")
        return (await self.delete_object(write, namespace, name, delete_options or {})).obj

    def _write(self, options: WriteOptions, kind: str, subresource: str = "") -> Write:
        described: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if options.dry_run:
            described["dryRun"] = ["All"]
        return Write(
            self.served,
            options.user,
            options.manager,
            self.clock(),
            options.dry_run,
            options.admission,
            subresource,
            described,
        )
