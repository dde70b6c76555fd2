"""Graceful node shutdown: pods end in the order of their priorities before the machine goes (pkg/kubelet/nodeshutdown)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kubelet.node.admission import Refusal
from kubelet.node.shutdown_state import ShutdownState
from kubelet.pods import spec as podspec
from kubelet.pods.manager import PodManager
from kubelet.pods.recorder import Recorder
from kubelet.pods.worker import PodWorker
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
REASON, MESSAGE = "Terminated", "Pod was terminated in response to imminent node shutdown."
NOT_READY = "node is shutting down"
_REFUSAL = ("NodeShutdown", "Pod was rejected as the node is shutting down.")
_SYSTEM_CRITICAL = 2_000_000_000


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """Pods of at least this priority, and below the next period's, have that many seconds."""

    priority: int
    seconds: int


def parse_periods(entries: Iterable[str]) -> tuple[GracePeriod, ...]:
    """``priority=seconds`` each. Raises ValueError."""
    found = []
    for entry in entries:
        priority, sign, seconds = entry.partition("=")
        if not sign:
            raise ValueError(f"invalid shutdown grace period {entry!r}: want PRIORITY=SECONDS")
        found.append(GracePeriod(int(priority), int(seconds)))
    return tuple(found)


def grace_periods(total: float, critical: float, by_priority: Sequence[GracePeriod] = ()) -> tuple[GracePeriod, ...]:
    """By rising priority. ``critical`` of ``total`` seconds are kept for critical pods; empty: shutdown is not graceful."""
    if by_priority:
        return tuple(sorted(by_priority, key=lambda p: p.priority))
    if not total or critical > total:
        return ()
    return GracePeriod(0, int(total - critical)), GracePeriod(_SYSTEM_CRITICAL, int(critical))


def group_by_priority(
    periods: Sequence[GracePeriod], workers: Iterable[PodWorker]
) -> list[tuple[GracePeriod, list[PodWorker]]]:
    """Who ends when; those below the lowest period belong to it."""
    groups: dict[GracePeriod, list[PodWorker]] = {period: [] for period in periods}
    for worker in workers:
        priority = int(podspec.spec_of(worker.pod).get("priority") or 0)
        fitting = [p for p in periods if p.priority <= priority]
        groups[fitting[-1] if fitting else periods[0]].append(worker)
    return list(groups.items())


class ShutdownManager:
    """``changed`` is called when the node begins or stops to shut down."""

    def __init__(
        self,
        pods: PodManager,
        recorder: Recorder,
        clock: Clock,
        periods: Sequence[GracePeriod],
        *,
        state: ShutdownState,
        node: Object,
        changed: Callable[[], None],
    ) -> None:
        self._pods, self._recorder, self._clock = pods, recorder, clock
        self._periods, self._node, self._changed = periods, node, changed
        self._state, self._now = state, False

    @property
    def enabled(self) -> bool:
        return bool(self._periods)

    @property
    def seconds(self) -> int:
        """How long the whole shutdown may take."""
        return sum(p.seconds for p in self._periods)

    @property
    def problem(self) -> str:
        """Why the node is not ready; empty while it stays up."""
        return NOT_READY if self._now else ""

    def admit(self) -> Refusal | None:
        return _REFUSAL if self._now else None

    async def begin(self) -> None:
        """Ends all pods, group after group; returns when all have ended or had their time."""
        if not self._periods:
            log.warning("The machine is going down, and no grace period is configured: pods are left as they are")
            return
        self._announce(True, "Shutdown manager detected shutdown event")
        begun = self._clock.now()
        await asyncio.to_thread(self._state.keep, begun)
        for period, workers in group_by_priority(self._periods, list(self._pods.active())):
            if not workers:
                continue
            for worker in workers:
                grace = min(podspec.grace_period(worker.pod), period.seconds)
                log.info("Node shutdown: ending pod %s within %d s", podspec.format_pod(worker.pod), grace)
                worker.fail(REASON, MESSAGE, float(grace), disruption=MESSAGE)
            await self._wait(workers, period.seconds)
        await asyncio.to_thread(self._state.keep, begun, self._clock.now())
        log.info("Node shutdown: pods have ended")

    async def _wait(self, workers: Iterable[PodWorker], seconds: int) -> None:
        async def all_ended() -> None:
            for worker in workers:
                await worker.ended.wait()

        ended, over = asyncio.ensure_future(all_ended()), asyncio.ensure_future(self._clock.sleep(float(seconds)))
        await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, over):
            task.cancel()
        await asyncio.gather(ended, over, return_exceptions=True)

    def cancel(self) -> None:
        """The machine stays up after all."""
        if self._now:
            self._announce(False, "Shutdown manager detected shutdown cancellation")

    def _announce(self, now: bool, message: str) -> None:
        self._now = now
        self._recorder.event(self._node, "Normal", "NodeShutdown", message)
        self._changed()
