"""Informers for everything that can be deleted, as discovery shows it from time to time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kubeling.api.errors import StatusError
from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.client.clock import Clock
from kubeling.client.discovery import Discovered, discover
from kubeling.client.errors import ClientError
from kubeling.client.informer import Informer
from kubeling.client.informers import SharedInformers
from kubeling.client.rest import Client

log = logging.getLogger(__name__)

DISCOVERY_SECONDS = 10.0
SYNC_SECONDS = 30.0
_IGNORED = {("", "events"), ("events.k8s.io", "events")}
_NEEDED = {"delete", "list", "watch"}
_KEPT = ("name", "namespace", "uid", "resourceVersion", "ownerReferences", "finalizers", "deletionTimestamp")

Changed = Callable[[Resource, Object | None, Object | None], None]


def metadata_only(obj: Object) -> Object:
    """The little of an object that the collector needs."""
    metadata = {k: obj["metadata"][k] for k in _KEPT if k in obj["metadata"]}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


class Monitors:
    """Keeps one informer for each deletable resource and passes on every change."""

    def __init__(self, client: Client, informers: SharedInformers, clock: Clock, changed: Changed) -> None:
        self._client = client
        self._informers = informers
        self._clock = clock
        self._changed = changed
        self._running: dict[tuple[str, str], Informer] = {}
        self.discovered = Discovered((), {})
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Asks discovery again and again."""
        while True:
            try:
                self.discovered = await discover(self._client)
            except (StatusError, ClientError) as err:
                log.debug("discovery: %s", err)
            else:
                await self._follow(self.discovered)
            await self._clock.sleep(DISCOVERY_SECONDS)

    async def _follow(self, found: Discovered) -> None:
        wanted = {(r.group, r.plural): r for r in found.resources if set(r.verbs) >= _NEEDED}
        for identity, resource in wanted.items():
            if identity not in _IGNORED and identity not in self._running:
                self._start(identity, resource)
        unknown = {gv.rpartition("/")[0] for gv in found.failures}
        for identity in [i for i in self._running if i not in wanted and i[0] not in unknown]:
            await self._stop(identity)
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                await asyncio.gather(*(informer.wait_synced() for informer in self._running.values()))
        except TimeoutError:
            late = [str(i.resource) for i in self._running.values() if not i.synced]
            log.warning("not yet synced, going on without: %s", ", ".join(late))
        self.synced.set()

    def _start(self, identity: tuple[str, str], resource: Resource) -> None:
        informer = self._informers.informer(resource, transform=metadata_only)
        self._running[identity] = informer
        informer.add_handler(lambda old, new: self._changed(resource, old, new))

    async def _stop(self, identity: tuple[str, str]) -> None:
        """The resource is no longer served: its objects are gone with it."""
        informer = self._running.pop(identity)
        await self._informers.stop(informer)
        for obj in informer.store.list():
            self._changed(informer.resource, obj, None)
