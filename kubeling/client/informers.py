"""Informers shared by the controllers of a process: one watch for each collection, however many look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.informer import Informer
from kubeling.client.rest import Client
from kubeling.client.store import IndexFunction

_Identity = tuple[str, str, str, str, str, str]


class SharedInformers:
    """Gives out informers and runs them: those asked for before ``run`` together, later ones at once."""

    def __init__(self, client: Client, *, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._informers: dict[_Identity, Informer] = {}
        self._tasks: dict[_Identity, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def informer(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, IndexFunction] | None = None,
        transform: Callable[[Object], Object] | None = None,
    ) -> Informer:
        """The informer of that collection; the indexers are added to those it has.

        ``transform`` counts only for an informer that nobody else has asked for before.
        """
        kind = (resource.group, resource.version, resource.plural)
        identity = (*kind, namespace, label_selector, field_selector)
        informer = self._informers.get(identity)
        if informer is None:
            informer = self._informers[identity] = Informer(
                self._client,
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                transform=transform,
                clock=self._clock,
            )
            self._start(identity)
        for name, function in (indexers or {}).items():
            informer.store.add_index(name, function)
        return informer

    async def stop(self, informer: Informer) -> None:
        """Ends an informer that nobody needs any more (its resource is no longer served)."""
        for identity, known in list(self._informers.items()):
            if known is informer:
                del self._informers[identity]
                task = self._tasks.pop(identity, None)
                if task is not None:
                    task.cancel()
                    await asyncio.wait([task])

    async def wait_synced(self) -> None:
        """Returns when every informer given out so far has its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    async def run(self) -> None:
        """Runs the informers until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for identity in self._informers:
                self._start(identity)
            await asyncio.Event().wait()

    def _start(self, identity: _Identity) -> None:
        if self._group is not None:
            informer = self._informers[identity]
            self._tasks[identity] = self._group.create_task(informer.run(), name=f"informer {informer.resource}")
