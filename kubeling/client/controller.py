"""The controller runtime: keys come from watched objects, ``reconcile(key)`` makes the world right.

The whole contract of a controller is its reconciler: look at the whole state, act, answer None, or when to look again, or
raise. What it raises is logged and tried again with the key's back-off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.api.meta import Key, Object, key_of
from kubeling.client.clock import Clock
from kubeling.client.errors import ConnectionFailed
from kubeling.client.informer import Informer
from kubeling.client.metrics import METRICS, ClientMetrics
from kubeling.client.workqueue import WorkQueue

log = logging.getLogger(__name__)

OFFLINE_RETRY_SECONDS = 5.0  # the longest back-off while the server is away: recovery must not wait for minutes


@dataclass(frozen=True, slots=True)
class Result:
    """``requeue_after``: look again after that many seconds."""

    requeue_after: float


K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)


class Reconciler(Protocol[K_contra]):
    """Makes the state that the key names right."""

    async def reconcile(self, key: K_contra, /) -> Result | None: ...


Mapper = Callable[[Object | None, Object | None], Iterable[K]]
"""From a change (old, new) to the keys to look at."""


def own_key(old: Object | None, new: Object | None) -> Iterable[Key]:
    """The changed object's own key."""
    obj = new if new is not None else old
    if obj is not None:
        yield key_of(obj)


class Controller(Generic[K]):
    """Feeds a reconciler from informers, with ``workers`` keys in work at a time and never one key twice at once."""

    def __init__(
        self,
        name: str,
        reconciler: Reconciler[K],
        *,
        workers: int = 5,
        queue: WorkQueue[K] | None = None,
        clock: Clock | None = None,
        metrics: ClientMetrics = METRICS,
    ) -> None:
        self.name = name
        self.queue = queue or WorkQueue(name, clock=clock, metrics=metrics)
        self._reconciler = reconciler
        self._workers = workers
        self._informers: list[Informer] = []

    def watch(self, informer: Informer, mapper: Mapper[K] | None = None) -> None:
        """Looks at the keys that the mapper gives (the object's own by default) whenever the informer sees a change.

        A controller starts once all its informers are synced; with ``mapper`` giving nothing it only waits for them.
        """
        chosen: Mapper[K] = mapper or own_key  # type: ignore[assignment]  # the default serves controllers keyed by Key

        def handle(old: Object | None, new: Object | None) -> None:
            for key in chosen(old, new):
                self.queue.add(key)

        self._informers.append(informer)
        informer.add_handler(handle)

    async def run(self) -> None:
        """Works until cancelled."""
        for informer in self._informers:
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self.name} {number}")

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while True:
            if task.cancelling():  # a failure during the clean-up of a reconcile has taken the cancellation's place
                raise asyncio.CancelledError
            key = await self.queue.get()
            try:
                await self._reconcile(key)
            finally:
                self.queue.done(key)

    async def _reconcile(self, key: K) -> None:
        try:
            result = await self._reconciler.reconcile(key)
        except ConnectionFailed as err:  # the informers have already said that the server is away
            log.debug("%s: %s: %s", self.name, key, err)
            self.queue.add_rate_limited(key, at_most=OFFLINE_RETRY_SECONDS)
        except StatusError as err:
            outdated = is_conflict(err) or is_not_found(err)  # the next look will see why
            level = logging.DEBUG if outdated else logging.WARNING
            log.log(level, "%s: %s: %s", self.name, key, err)
            self.queue.add_rate_limited(key)
        except Exception:  # one key's defect must not end the work on all others
            log.exception("%s: %s", self.name, key)
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if result is not None:
                self.queue.add_after(key, result.requeue_after)
