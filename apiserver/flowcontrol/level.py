"""A priority level at run time: its seats, and the queues of those that wait for one.

Source: KEP-1040 (shuffle sharding, fair queuing by virtual time). Requests that find a free seat while nobody waits pass
without touching the queues: fairness costs nothing until it matters.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_ESTIMATE = 0.003
"""Seconds of service that a request is charged until it is known how long it took."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One that waits; ``granted`` is done when it has its seats."""

    width: int
    granted: asyncio.Future[None]


@dataclass(eq=False, slots=True)
class Queue:
    """``start``: the virtual time at which the next request of the queue begins its service."""

    waiting: deque[Waiter] = field(default_factory=deque)
    start: float = 0.0
    executing: int = 0
    seats: int = 0
    """Seats that the waiting ask for."""


@dataclass(frozen=True, slots=True)
class Queuing:
    """Shape of a level's queues (upstream: QueuingConfiguration)."""

    queues: int
    hand_size: int
    length_limit: int


class Rejected(Exception):
    """No seat: ``reason`` as the metric has it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def dealt(flow: Sequence[str], queues: int, hand_size: int) -> list[int]:
    """The hand of queues that a flow is dealt: distinct, and always the same ones."""
    number = int.from_bytes(hashlib.sha256("\0".join(flow).encode()).digest()[:8], "little")
    hand: list[int] = []
    for taken in range(min(hand_size, queues)):
        number, card = divmod(number, queues - taken)
        for earlier in sorted(hand):
            card += card >= earlier
        hand.append(card)
    return hand


class Level:
    """``limit`` seats; ``queuing`` None rejects what finds none free; an ``exempt`` level has no limit."""

    def __init__(
        self, name: str, uid: str, limit: int, queuing: Queuing | None, clock: Callable[[], float], exempt: bool = False
    ) -> None:
        self.name = name
        self.uid = uid
        self.limit = limit
        self.nominal = limit
        self.exempt = exempt
        self.executing = 0
        self.waiting = 0
        """Seats that all the waiting ask for."""
        self.most = 0
        """The highest demand (executing and waiting) since it was last read."""
        self.demand = 0.0
        self._queuing = queuing
        self._clock = clock
        self._queues = [Queue() for _ in range(queuing.queues)] if queuing else []
        self._virtual = 0.0
        self._at = clock()

    def try_now(self, width: int) -> bool:
        """Takes seats if they are free and nobody waits for them. A request wider than the level may run alone."""
        executing = self.executing
        if not self.exempt and (self.waiting or (executing + width > self.limit and executing)):
            return False
        self.executing = executing + width
        if self.executing > self.most:
            self.most = self.executing
        return True

    def leave(self, width: int) -> None:
        """Gives seats back that ``try_now`` took."""
        self.executing -= width
        if self.waiting:
            self._dispatch()

    async def wait(self, flow: Sequence[str], width: int, seconds: float) -> tuple[Queue, float]:
        """Waits for seats; returns the queue and the time of dispatch, for ``leave_queue``. Raises ``Rejected``."""
        queuing = self._queuing
        if queuing is None:
            raise Rejected("concurrency-limit")
        queue = min((self._queues[i] for i in dealt(flow, queuing.queues, queuing.hand_size)), key=lambda q: q.seats)
        if len(queue.waiting) >= queuing.length_limit:
            raise Rejected("queue-full")
        waiter = self._enqueue(queue, width)
        self._dispatch()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(waiter.granted)
        except TimeoutError:
            if waiter.granted.done():
                return queue, self._clock()
            self._drop(queue, waiter)
            raise Rejected("time-out") from None
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self.leave_queue(queue, width, self._clock())
            else:
                self._drop(queue, waiter)
            raise
        return queue, self._clock()

    def leave_queue(self, queue: Queue, width: int, began: float) -> None:
        """Gives seats back that ``wait`` got, and settles what the queue was charged."""
        self._advance()
        queue.executing -= width
        queue.start -= width * (_ESTIMATE - (self._clock() - began))
        self.executing -= width
        self._dispatch()

    def _enqueue(self, queue: Queue, width: int) -> Waiter:
        self._advance()
        if not queue.waiting and not queue.executing:
            queue.start = self._virtual
        waiter = Waiter(width, asyncio.get_running_loop().create_future())
        queue.waiting.append(waiter)
        queue.seats += width
        self.waiting += width
        self.most = max(self.most, self.executing + self.waiting)
        return waiter

    def _drop(self, queue: Queue, waiter: Waiter) -> None:
        queue.waiting.remove(waiter)
        queue.seats -= waiter.width
        self.waiting -= waiter.width
        waiter.granted.cancel()
        self._dispatch()

    def _advance(self) -> None:
        """Virtual time runs at the rate at which each active queue is served."""
        now = self._clock()
        active = sum(1 for queue in self._queues if queue.waiting or queue.executing)
        if active:
            self._virtual += (now - self._at) * min(self.executing + self.waiting, self.limit) / active
        self._at = now

    def _dispatch(self) -> None:
        """Grants seats to the queues whose next request would end first in virtual time."""
        self._advance()
        while self.waiting:
            queue = min((q for q in self._queues if q.waiting), key=lambda q: q.start + q.waiting[0].width * _ESTIMATE)
            width = queue.waiting[0].width
            if self.executing + width > self.limit and self.executing:
                return
            waiter = queue.waiting.popleft()
            queue.seats -= width
            self.waiting -= width
            queue.start += width * _ESTIMATE
            queue.executing += width
            self.executing += width
            waiter.granted.set_result(None)

    def same_shape(self, queuing: Queuing | None, exempt: bool) -> bool:
        """Whether a configuration leaves queues and waiting requests as they are."""
        return self._queuing == queuing and self.exempt == exempt

    def settle(self, limit: int) -> None:
        """Another limit from now on."""
        self.limit = limit
        if self.waiting:
            self._dispatch()

    @property
    def waiting_requests(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues)
