"""One watch on a kind: a bounded queue between the hub and a consumer that may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from apiserver.cache.entry import Event

CAPACITY = 20_000
"""Events that may wait for a consumer; one that lags further is closed (its client lists and watches again)."""

Memo = dict[object, bytes]
"""Chunks made already in one round of deliveries, for watchers that are told the same."""
Sink = Callable[[list[Event], Memo], None]


class Rounds(Protocol):
    """What a watcher needs of its cache."""

    def left(self, watcher: Watcher) -> None: ...

    def waits(self, watcher: Watcher) -> None:
        """The watcher has events: the next round of deliveries must come by."""
        ...


class Watcher:
    """Delivers the events of a scope in order. ``scope``: ``""`` all, ``"ns/"`` a namespace, ``"ns/name"`` one object.

    Either somebody awaits ``next``, or a sink is attached: then rounds of deliveries bring it what has gathered.
    """

    __slots__ = ("_queue", "_rounds", "_sink", "_waiter", "closed", "scope")

    def __init__(self, scope: str, rounds: Rounds) -> None:
        self.scope = scope
        self.closed = False
        self._queue: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._rounds = rounds

    def push(self, event: Event) -> None:
        """Called by the cache; never blocks."""
        queue = self._queue
        if len(queue) >= CAPACITY:
            self.close()
            return
        queue.append(event)
        if self._sink is None:
            self._wake()
        elif len(queue) == 1:
            self._rounds.waits(self)

    def attach(self, sink: Sink) -> None:
        """From now on events go to ``sink``; ``next`` is then only for waiting until the end."""
        self._sink = sink
        if self._queue:
            self._rounds.waits(self)

    def deliver(self, memo: Memo) -> None:
        """One delivery: everything that waits goes to the sink."""
        if self._queue and self._sink is not None:
            events = list(self._queue)
            self._queue.clear()
            self._sink(events, memo)

    def close(self) -> None:
        """Ends the watch once what is queued has been taken."""
        if not self.closed:
            self.closed = True
            self._rounds.left(self)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self, timeout: float | None = None) -> list[Event] | None:
        """All events that wait, at least one; ``[]`` after ``timeout`` seconds without any, None at the end of the
        watch.

        With a sink attached it never gives events: it waits for the time or the end.
        """
        if not self._queue or self._sink is not None:
            if self.closed:
                return None
            await self._wait(timeout)
        if self._queue and self._sink is None:
            events = list(self._queue)
            self._queue.clear()
            return events
        return None if self.closed else []

    async def _wait(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(timeout, self._wake) if timeout is not None else None
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
