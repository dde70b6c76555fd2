"""The pods that wait for a node: those to try now, those that failed lately, and those for which something has to change first.

A pod is in one of three places: ``active`` (a heap in the profile's order), ``backing off`` (until its time has come), or
``unschedulable`` (until an event that one of the plugins that said no wants to hear of, or five minutes have passed).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kubeling.client.clock import Clock, SystemClock, Timer
from scheduler.framework.events import ClusterEvent
from scheduler.model.pod import PodInfo

INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_UNSCHEDULABLE = 300.0


@dataclass(eq=False, slots=True)
class QueuedPod:
    """A pod with its history in the queue. Times are the clock's monotonic seconds."""

    pod: PodInfo
    added_at: float
    queued_at: float
    attempts: int = 0
    plugins: frozenset[str] = frozenset()
    gated: bool = False
    due_at: float = 0.0
    failed_at: float = 0.0
    errored: bool = False


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What the queue asks others: the order of pods, and which plugins a change of the cluster helps."""

    order: Callable[[QueuedPod], tuple[float, ...]]
    helped: Callable[[PodInfo, frozenset[str], ClusterEvent], bool]
    initial_backoff: float = INITIAL_BACKOFF
    max_backoff: float = MAX_BACKOFF


@dataclass
class SchedulingQueue:
    """``add`` pods, ``next`` takes one out; afterwards ``failed`` puts it back or nobody does."""

    rules: QueueRules
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self._heap: list[tuple[tuple[float, ...], int, QueuedPod]] = []
        self._active: dict[str, QueuedPod] = {}
        self._backing_off: dict[str, QueuedPod] = {}
        self._unschedulable: dict[str, QueuedPod] = {}
        self._in_work: dict[str, QueuedPod] = {}
        self._missed: dict[str, list[ClusterEvent]] = {}  # what happened while a pod was in work
        self._numbers = itertools.count()
        self._taker: asyncio.Future[None] | None = None
        self._timer: tuple[float, Timer] | None = None

    def sizes(self) -> dict[str, int]:
        """How many pods are where, under upstream's names."""
        gated = sum(q.gated for q in self._unschedulable.values())
        return {
            "active": len(self._active),
            "backoff": len(self._backing_off),
            "unschedulable": len(self._unschedulable) - gated,
            "gated": gated,
        }

    def add(self, pod: PodInfo, *, gated: bool = False) -> None:
        """A pod that is new, or has changed so that it may fit now; a gated one waits until it is added again."""
        known = self._known(pod.uid)
        if known is None:
            now = self.clock.monotonic()
            known = QueuedPod(pod, now, now)
        self._forget(pod.uid)
        known.pod, known.gated = pod, gated
        if gated:
            self._unschedulable[pod.uid] = known
        elif known.attempts and self._left(known) > 0:
            self._wait(known)
        else:
            self._activate(known)

    def update(self, pod: PodInfo) -> None:
        """Another version of a pod, in whatever place it is."""
        for place in (self._active, self._backing_off, self._unschedulable, self._in_work):
            if pod.uid in place:
                place[pod.uid].pod = pod
                return

    def waiting(self, uid: str) -> QueuedPod | None:
        """The pod if it waits for a change."""
        return self._unschedulable.get(uid)

    def gated(self) -> list[PodInfo]:
        """The pods that are kept out until they are added again."""
        return [queued.pod for queued in self._unschedulable.values() if queued.gated]

    def remove(self, uid: str) -> None:
        """The pod has gone, or has a node."""
        self._forget(uid)
        self._in_work.pop(uid, None)
        self._missed.pop(uid, None)

    async def next(self) -> QueuedPod:
        """Waits for a pod and takes it into work."""
        while (queued := self._pop()) is None:
            self._taker = asyncio.get_running_loop().create_future()
            await self._taker
        queued.attempts += 1
        self._in_work[queued.pod.uid] = queued
        self._missed[queued.pod.uid] = []
        return queued

    def done(self, uid: str) -> None:
        """The pod got a node."""
        self._in_work.pop(uid, None)
        self._missed.pop(uid, None)

    def failed(self, queued: QueuedPod, plugins: frozenset[str], *, error: bool = False) -> None:
        """The pod found no node because of these plugins, or because of an error: then it is tried again after its back-off."""
        uid = queued.pod.uid
        if self._in_work.pop(uid, None) is None:
            return  # it was removed meanwhile
        missed = self._missed.pop(uid, [])
        queued.plugins, queued.errored = plugins, error
        queued.failed_at = queued.queued_at = self.clock.monotonic()
        if error or not plugins or any(self.rules.helped(queued.pod, plugins, event) for event in missed):
            self._wait(queued)
        else:
            self._unschedulable[uid] = queued
            self._arm(queued.failed_at + MAX_UNSCHEDULABLE)

    def happened(self, event: ClusterEvent, concerns: Callable[[PodInfo], bool] | None = None) -> None:
        """Moves the pods that the event may help."""
        for missed in self._missed.values():
            missed.append(event)
        for uid, queued in list(self._unschedulable.items()):
            if queued.gated or (concerns is not None and not concerns(queued.pod)):
                continue
            if self.rules.helped(queued.pod, queued.plugins, event):
                del self._unschedulable[uid]
                self._retry(queued)

    def pods(self) -> Iterable[PodInfo]:
        """Every pod in the queue or in work."""
        places = (self._active, self._backing_off, self._unschedulable, self._in_work)
        return (queued.pod for place in places for queued in place.values())

    def _known(self, uid: str) -> QueuedPod | None:
        return self._active.get(uid) or self._backing_off.get(uid) or self._unschedulable.get(uid)

    def _forget(self, uid: str) -> None:
        for place in (self._active, self._backing_off, self._unschedulable):
            place.pop(uid, None)

    def _retry(self, queued: QueuedPod) -> None:
        if self._left(queued) > 0:
            self._wait(queued)
        else:
            self._activate(queued)

    def _activate(self, queued: QueuedPod) -> None:
        self._active[queued.pod.uid] = queued
        heapq.heappush(self._heap, (self.rules.order(queued), next(self._numbers), queued))
        self._wake()

    def _pop(self) -> QueuedPod | None:
        while self._heap:
            _, _, queued = heapq.heappop(self._heap)
            if self._active.get(queued.pod.uid) is queued:
                del self._active[queued.pod.uid]
                return queued
        return None

    def _wake(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    def _left(self, queued: QueuedPod) -> float:
        """Seconds of back-off that are left."""
        wait = min(self.rules.initial_backoff * 2.0 ** max(0, queued.attempts - 1), self.rules.max_backoff)
        return queued.failed_at + wait - self.clock.monotonic()

    def _wait(self, queued: QueuedPod) -> None:
        queued.due_at = self.clock.monotonic() + max(0.0, self._left(queued))
        self._backing_off[queued.pod.uid] = queued
        self._arm(queued.due_at)

    def _arm(self, due: float) -> None:
        """One timer, for the earliest time at which anything is due."""
        if self._timer is not None:
            if self._timer[0] <= due:
                return
            self._timer[1].cancel()
        self._timer = due, self.clock.call_later(max(0.0, due - self.clock.monotonic()), self._flush)

    def _flush(self) -> None:
        """Moves what is due: back-offs that are over, and pods that have waited in vain for too long."""
        self._timer = None
        now = self.clock.monotonic()
        for uid, queued in list(self._backing_off.items()):
            if queued.due_at <= now:
                del self._backing_off[uid]
                self._activate(queued)
        for uid, queued in list(self._unschedulable.items()):
            if not queued.gated and queued.failed_at + MAX_UNSCHEDULABLE <= now:
                del self._unschedulable[uid]
                self._retry(queued)
        dues = [q.due_at for q in self._backing_off.values()]
        dues += [q.failed_at + MAX_UNSCHEDULABLE for q in self._unschedulable.values() if not q.gated]
        if dues:
            self._arm(min(dues))
