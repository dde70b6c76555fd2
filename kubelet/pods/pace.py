"""When a pod's worker looks again: when woken, when something is due, and after a failure with growing delays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from kubelet.pods.within import within
from kubeling.client.clock import Clock

RESYNC = 60.0
_RETRY_FIRST, _RETRY_MAX = 0.5, 122.0


class Pace:
    """One worker's. Times are the clock's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()
        self._due: datetime | None = None
        self._retries = 0
        self._failed = False

    def wake(self) -> None:
        """Something happened; after a failure this alone brings no earlier retry."""
        self._woken.set()

    def forgive(self) -> None:
        """What failed is no reason to wait any more."""
        self._failed = False

    def reset(self) -> None:
        """What failed was nobody's fault here: as if it had never been tried."""
        self._failed, self._retries = False, 0

    def begin(self) -> None:
        """A look begins: what was due is what it is about."""
        self._due, self._failed = None, False

    def succeeded(self) -> None:
        self._retries = 0

    def at(self, moment: datetime | None) -> None:
        """Look again then, at the latest."""
        if moment is not None and (self._due is None or moment < self._due):
            self._due = moment

    def whenever(self) -> None:
        """Nothing is due: somebody will wake."""
        self._due = None

    def retry_at(self, moment: datetime) -> None:
        """It failed, and is tried again then."""
        self._failed, self._due = True, moment

    def retry_later(self) -> None:
        seconds = min(_RETRY_FIRST * 2**self._retries, _RETRY_MAX)
        self._retries += 1
        self._failed = True
        self._due = self._clock.now() + timedelta(seconds=seconds)

    def clear(self) -> None:
        """Forgets that it was woken."""
        self._woken.clear()

    async def woken(self) -> None:
        await self._woken.wait()

    async def woken_within(self, seconds: float) -> None:
        await within(self._clock, seconds, self._woken.wait())

    async def sleep(self, ending: Callable[[], bool]) -> None:
        """Until woken, until something is due, at most ``RESYNC``; what ends the pod always wakes."""
        seconds = RESYNC
        if self._due is not None:
            seconds = min(seconds, max(0.0, (self._due - self._clock.now()).total_seconds()))
        await within(self._clock, seconds, self._woken_for_good_reason(ending))

    async def _woken_for_good_reason(self, ending: Callable[[], bool]) -> None:
        await self._woken.wait()
        while self._failed and not ending():
            self._woken.clear()
            await self._woken.wait()
