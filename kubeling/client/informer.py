"""A local copy of a collection that follows the server: list, watch, resume, and list again where needed.

The copy also takes in what this process writes itself (``observe``, ``observe_deletion``), so that a controller that
acts on it has always seen its own last write. The order of versions decides: nothing older replaces anything newer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from kubeling.api.errors import StatusError, is_expired
from kubeling.api.meta import Key, Object, is_deleting, key_of, resource_version_of, rfc3339, uid_of
from kubeling.api.resource import Resource
from kubeling.client.backoff import Backoff
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import ClientError
from kubeling.client.metrics import METRICS, ClientMetrics
from kubeling.client.requests import with_type
from kubeling.client.rest import Client, WatchEvent
from kubeling.client.store import IndexFunction, Store

log = logging.getLogger(__name__)

Handler = Callable[[Object | None, Object | None], None]
WATCH_SECONDS = 400  # client-go asks for 5 to 10 minutes; resuming costs nothing


class Informer:
    """Follows one collection. ``run`` it as a task; ``store`` is the copy, handlers hear of every change of it.

    ``transform`` may shrink an object before it is stored; it must keep the metadata.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, IndexFunction] | None = None,
        transform: Callable[[Object], Object] | None = None,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        metrics: ClientMetrics = METRICS,
    ) -> None:
        self.resource = resource
        self.store = Store(indexers)
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._transform = transform
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._metrics = metrics
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._version = 0  # of the newest state that the server has shown us
        self._must_list = True
        self._deleting: dict[str, str] = {}  # uid to deletion time, of our own deletions not yet shown by the server

    @property
    def synced(self) -> bool:
        """True once the first list is in the store."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    def add_handler(self, handler: Handler) -> None:
        """Calls ``handler(old, new)`` at every change: no old = added, no new = deleted; at once for what is stored."""
        self._handlers.append(handler)
        for obj in self.store.list():
            handler(None, obj)

    async def run(self) -> None:
        """Follows the server for ever; a lost connection is logged once, and tried again with growing delays."""
        lost = False
        while True:
            try:
                await self._follow()
                lost = False
                continue
            except StatusError as err:
                if is_expired(err):
                    self._must_list = True
                    continue
                why: Exception = err
            except ClientError as err:
                why = err
            if self._backoff.failures == 0:
                lost = False
            log.log(logging.DEBUG if lost else logging.WARNING, "watching %s: %s; trying again", self.resource, why)
            lost = True
            await self._clock.sleep(self._backoff.next())

    async def _follow(self) -> None:
        """One list where needed, then one watch to its end."""
        if self._must_list:
            await self._relist()
        watch = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=str(self._version),
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=WATCH_SECONDS,
        )
        events = self._metrics.watch_events.labels(self.resource.qualified)
        started = self._clock.monotonic()
        async for event in watch:
            self._backoff.reset()
            events.inc()
            self._apply(event)
        if self._clock.monotonic() - started < 1.0:  # a server that ends watches at once must not be hammered
            await self._clock.sleep(self._backoff.next())
        else:
            self._backoff.reset()

    async def _relist(self) -> None:
        listed = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self._metrics.lists.labels(self.resource.qualified).inc()
        self._backoff.reset()
        version = int((listed.get("metadata") or {}).get("resourceVersion") or 0)
        items = [self._prepare(item) for item in listed.get("items") or ()]
        restarted = version < self._version  # another storage: our versions say nothing about its
        present = {key_of(item) for item in items}
        for obj in self.store.list():
            if restarted or (key_of(obj) not in present and version_of(obj) <= version):
                self._remove(key_of(obj))
        self._deleting = {uid: at for uid, at in self._deleting.items() if any(uid_of(i) == uid for i in items)}
        for item in items:
            self._put(item)
        self._version = version
        self._must_list = False
        self._synced.set()

    def _apply(self, event: WatchEvent) -> None:
        version = version_of(event.object)
        if event.type == "DELETED":
            self._deleting.pop(uid_of(event.object), None)
            stored = self.store.get(key_of(event.object))
            if stored is not None and (version_of(stored) <= version or uid_of(stored) == uid_of(event.object)):
                self._remove(key_of(event.object))
        elif event.type != "BOOKMARK":
            self._put(self._prepare(event.object))
        self._version = max(self._version, version)

    def _prepare(self, obj: Object) -> Object:
        typed = with_type(self.resource, obj)
        return self._transform(typed) if self._transform else typed

    def _put(self, obj: Object) -> None:
        """Stores what is newer than the stored, and tells the handlers."""
        stored = self.store.get(key_of(obj))
        if stored is not None and version_of(stored) >= version_of(obj):
            return
        if stored is not None and uid_of(stored) != uid_of(obj):
            self._remove(key_of(obj))  # deleted and created again between two looks
        deleted_at = self._deleting.get(uid_of(obj)) if self._deleting else None
        if deleted_at is not None:
            if is_deleting(obj):
                del self._deleting[uid_of(obj)]
            else:
                obj = marked_deleting(obj, deleted_at)
        old = self.store.put(obj)
        self._tell(old, obj)

    def _remove(self, key: Key) -> None:
        old = self.store.remove(key)
        if old is not None:
            self._tell(old, None)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for handler in self._handlers:
            handler(old, new)

    def observe(self, obj: Object) -> None:
        """Takes in the result of a write of our own, unless the server has already shown us something newer."""
        if version_of(obj) > self._version or self.store.get(key_of(obj)) is not None:
            self._put(self._prepare(obj))

    def observe_deletion(self, obj: Object) -> None:
        """Marks the object as being deleted, after the server has accepted our deletion of it."""
        stored = self.store.get(key_of(obj))
        if stored is None or uid_of(stored) != uid_of(obj) or is_deleting(stored):
            return
        at = self._deleting.setdefault(uid_of(obj), rfc3339(self._clock.now()))
        marked = marked_deleting(stored, at)
        self.store.put(marked)
        self._tell(stored, marked)


def version_of(obj: Object) -> int:
    """The resourceVersion as the number that it is with us; 0 where there is none."""
    version = resource_version_of(obj)
    return int(version) if version.isdigit() else 0


def marked_deleting(obj: Object, at: str) -> Object:
    """A copy of the object with a deletion timestamp."""
    return {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": at}}
