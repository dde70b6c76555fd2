"""All registries of a server: kinds are registered here, at the start and at run time, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from apiserver.cache.entry import Form
from apiserver.cache.hub import Hub
from apiserver.cache.kind_cache import KindCache
from apiserver.registry.admission import AdmissionChain
from apiserver.registry.kind import Kind
from apiserver.registry.objects import Objects
from apiserver.registry.resource_registry import Clock, ResourceRegistry
from apiserver.registry.served import Catalog, Served, served_versions
from apiserver.registry.write import ManagerFor, Policies, WriteHooks
from apiserver.storage.base import Storage
from kubeling.api.resource import Resource


def stored(kind: Kind) -> bool:
    """Whether objects of the kind are stored at all (reviews are not)."""
    return "" not in kind.actions


class ServerRegistries:
    """Implements ``facade.Registries``. ``hooks`` maps a kind's qualified name (``services``) to its write hooks;
    they are set before the kind is registered."""

    def __init__(
        self,
        storage: Storage,
        hub: Hub,
        catalog: Catalog,
        admission: AdmissionChain,
        manager_for: ManagerFor,
        clock: Clock,
    ) -> None:
        self.storage = storage
        self.hub = hub
        self.catalog = catalog
        self.clock = clock
        self.hooks: dict[str, WriteHooks] = {}
        self._policies = Policies(admission, manager_for, self)
        self._by_plural: dict[tuple[str, str], ResourceRegistry] = {}
        self._by_kind: dict[tuple[str, str], ResourceRegistry] = {}

    def register(self, kind: Kind) -> list[Served]:
        """Starts to serve a kind; its objects are there after the hub's next ``sync``."""
        if stored(kind):
            cache = KindCache(kind.storage_prefix, _form(kind))
            self.hub.add(cache)
            versions = self._take_in(kind, cache)
        else:
            versions = served_versions(kind)
        self.catalog.add(_shown(kind, versions))
        return versions

    async def register_now(self, kind: Kind, instead_of: Kind | None = None) -> None:
        """Starts to serve a kind while the server runs: nobody sees it before its objects are there.

        ``instead_of`` is served until that moment; then its watches end.
        """
        cache = KindCache(kind.storage_prefix, _form(kind))
        self.hub.add(cache)
        await self.hub.sync(cache)
        await self.hub.wait_for(cache.revision)
        if instead_of is not None:
            self.unregister(instead_of)
        versions = self._take_in(kind, cache)
        self.catalog.add(_shown(kind, versions))

    def terminate(self, kind: Kind) -> None:
        """A kind that is served takes nothing new from now on; its watches go on."""
        versions = [replace(served, terminating=True) for served in served_versions(kind)]
        self.catalog.add(_shown(kind, versions))

    def _take_in(self, kind: Kind, cache: KindCache) -> list[Served]:
        versions = served_versions(kind)
        objects = Objects(kind, self.storage, self.hub, cache)
        hooks = self.hooks.get(kind.resource.qualified)
        registry = ResourceRegistry(versions[0], objects, self._policies, self.clock, hooks)
        for served in versions:
            self._by_plural[served.resource.group, served.resource.plural] = registry
            self._by_kind[served.resource.group, served.resource.kind] = registry
        return versions

    def unregister(self, kind: Kind) -> None:
        """Stops to serve a kind; its watches end."""
        versions = served_versions(kind)
        for served in versions:
            registry = self._by_plural.pop((served.resource.group, served.resource.plural), None)
            self._by_kind.pop((served.resource.group, served.resource.kind), None)
            if registry is not None:
                self.hub.remove(registry.objects.cache)
        self.catalog.remove(versions)

    def of(self, resource: Resource) -> ResourceRegistry:
        return self._by_plural[resource.group, resource.plural]

    def find(self, group: str, plural: str) -> ResourceRegistry | None:
        return self._by_plural.get((group, plural))

    def find_kind(self, group: str, kind: str) -> ResourceRegistry | None:
        return self._by_kind.get((group, kind))

    def all(self) -> list[ResourceRegistry]:
        return list(dict.fromkeys(self._by_plural.values()))

    async def wait_synced(self) -> None:
        await self.hub.wait_for(await self.storage.revision())


def _shown(kind: Kind, versions: list[Served]) -> list[Served]:
    return versions if kind.served else versions[1:]


def _form(kind: Kind) -> Form:
    fields = dict(kind.field_selectors)
    for conversion in kind.versions:
        fields |= conversion.field_selectors or {}
    return Form.of(kind.resource.kind, kind.resource.api_version, fields, kind.read)
