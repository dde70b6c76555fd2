"""A collection as a controller sees it: the informer's copy to read, writes that the copy has seen when they return."""

from __future__ import annotations

import logging
from typing import Any

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, name_of, namespace_of, uid_of
from kubeling.api.resource import Resource
from kubeling.client.informer import Informer
from kubeling.client.rest import Client, PatchKind
from kubeling.client.store import Store

log = logging.getLogger(__name__)


class Collection:
    """The objects of one resource. Raises what the client raises; never mutate what comes out."""

    def __init__(self, client: Client, informer: Informer) -> None:
        self.client = client
        self.informer = informer
        self.resource: Resource = informer.resource

    @property
    def store(self) -> Store:
        return self.informer.store

    def get(self, key: Key) -> Object | None:
        return self.informer.store.get(key)

    async def fetch(self, key: Key) -> Object:
        """The object as the server has it now."""
        obj = await self.client.get(self.resource, key.name, key.namespace)
        self.informer.observe(obj)
        return obj

    async def create(self, obj: Object) -> Object:
        created = await self.client.create(self.resource, obj)
        self.informer.observe(created)
        return created

    async def update(self, obj: Object, *, subresource: str = "") -> Object:
        updated = await self.client.update(self.resource, obj, subresource=subresource)
        if subresource in ("", "status"):
            self.informer.observe(updated)
        return updated

    async def update_status(self, obj: Object) -> Object:
        return await self.update(obj, subresource="status")

    async def patch(
        self, obj: Object, patch: Any, *, kind: PatchKind = PatchKind.MERGE, subresource: str = ""
    ) -> Object:
        """Patches the object of that name; put its uid into the patch's metadata where another's must be left alone."""
        patched = await self.client.patch(
            self.resource, name_of(obj), patch, namespace_of(obj), kind=kind, subresource=subresource
        )
        self.informer.observe(patched)
        return patched

    async def delete(self, obj: Object, **options: Any) -> bool:
        """Deletes this very object (by uid); False when it was gone already."""
        try:
            await self.client.delete(self.resource, name_of(obj), namespace_of(obj), uid=uid_of(obj), **options)
        except StatusError as err:
            if not is_not_found(err):
                raise
            return False
        self.informer.observe_deletion(obj)
        return True
