"""A queue of keys to look at: a key is never in two hands, and is looked at again if it was added meanwhile.

Source of the behaviour: client-go's workqueue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from kubeling.client.backoff import KeyedBackoff
from kubeling.client.clock import Clock, SystemClock, Timer
from kubeling.client.metrics import METRICS, ClientMetrics

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """``add`` keys, ``get`` one, work on it, say ``done``.

    Invariants: ``_order`` holds each waiting key once; ``_dirty`` are the keys that need work, waiting or being worked on;
    ``_working`` maps the keys in somebody's hand to when they were taken. A key in both goes back into ``_order`` at ``done``.
    """

    def __init__(
        self,
        name: str = "",
        *,
        clock: Clock | None = None,
        backoff: KeyedBackoff | None = None,
        metrics: ClientMetrics = METRICS,
    ) -> None:
        self._clock = clock or SystemClock()
        self._backoff = backoff or KeyedBackoff()
        self._order: deque[K] = deque()
        self._dirty: dict[K, float] = {}
        self._working: dict[K, float] = {}
        self._later: dict[K, tuple[float, Timer]] = {}
        self._takers: deque[asyncio.Future[None]] = deque()
        self._metrics = _QueueMetrics(name, metrics)
        self._metrics.observe(self)

    def add(self, key: K) -> None:
        """The key needs work; does nothing when it already waits."""
        if key in self._dirty:
            return
        self._dirty[key] = self._clock.monotonic()
        self._metrics.added()
        if key not in self._working:
            self._enqueue(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Adds the key later; of two delays the earlier counts."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        known = self._later.get(key)
        if known is not None:
            if known[0] <= due:
                return
            known[1].cancel()
        self._later[key] = (due, self._clock.call_later(seconds, lambda: self._due(key)))

    def add_rate_limited(self, key: K, *, at_most: float | None = None) -> None:
        """Adds the key after its back-off, which doubles until ``forget``; ``at_most`` caps this delay in seconds."""
        self._metrics.retried()
        delay = self._backoff.next(key)
        self.add_after(key, delay if at_most is None else min(delay, at_most))

    def forget(self, key: K) -> None:
        """The key is fine: its back-off starts over."""
        self._backoff.forget(key)

    def failures(self, key: K) -> int:
        """How often the key was added rate-limited since it was last forgotten."""
        return self._backoff.failures(key)

    async def get(self) -> K:
        """Waits for a key and takes it; call ``done`` with it afterwards."""
        while not self._order:
            taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                if taker.done() and not taker.cancelled():
                    self._wake()  # woken and cancelled at once: the key is somebody else's
                raise
        key = self._order.popleft()
        now = self._clock.monotonic()
        self._metrics.taken(now - self._dirty.pop(key))
        self._working[key] = now
        return key

    def done(self, key: K) -> None:
        """The work on the key has ended, well or badly; it waits again if it was added meanwhile."""
        started = self._working.pop(key)
        self._metrics.worked(self._clock.monotonic() - started)
        if key in self._dirty:
            self._enqueue(key)

    def __len__(self) -> int:
        """How many keys wait (not those delayed or in hand)."""
        return len(self._order)

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing is in hand; delayed keys do not count."""
        return not self._order and not self._working

    def unfinished_seconds(self) -> list[float]:
        """For how long each key in hand has been worked on."""
        now = self._clock.monotonic()
        return [now - started for started in self._working.values()]

    def _enqueue(self, key: K) -> None:
        self._order.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _due(self, key: K) -> None:
        self._later.pop(key, None)
        self.add(key)


class _QueueMetrics:
    """A queue's share of the process's metrics; a nameless queue has none."""

    def __init__(self, name: str, metrics: ClientMetrics) -> None:
        self._name = name
        self._all = metrics
        if name:
            self._adds = metrics.queue_adds.labels(name)
            self._retries = metrics.queue_retries.labels(name)
            self._wait = metrics.queue_wait.labels(name)
            self._work = metrics.queue_work.labels(name)

    def observe(self, queue: WorkQueue[K]) -> None:
        if self._name:
            self._all.queue_depth.labels(self._name).set_function(lambda: float(len(queue)))
            self._all.queue_unfinished.labels(self._name).set_function(lambda: sum(queue.unfinished_seconds()))
            self._all.queue_longest.labels(self._name).set_function(lambda: max(queue.unfinished_seconds(), default=0))

    def added(self) -> None:
        if self._name:
            self._adds.inc()

    def retried(self) -> None:
        if self._name:
            self._retries.inc()

    def taken(self, waited: float) -> None:
        if self._name:
            self._wait.observe(waited)

    def worked(self, seconds: float) -> None:
        if self._name:
            self._work.observe(seconds)
