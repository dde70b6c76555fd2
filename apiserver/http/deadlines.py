"""One time limit for many tasks: a timer for all of them instead of one for each, which would cost more than some requests."""

from __future__ import annotations

import asyncio
from typing import Any


class Limited:
    """A task under the limit, from ``begin`` to ``end``."""

    __slots__ = ("cancelling", "due", "expired", "task")

    def __init__(self, task: asyncio.Task[Any], due: float) -> None:
        self.task = task
        self.due = due
        self.cancelling = task.cancelling()
        self.expired = False


class Deadlines:
    """Cancels tasks that are still at it ``seconds`` after ``begin``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Limited, None] = {}  # the oldest first, since the limit is the same for all
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Limited:
        """The limit starts for the current task."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # called from a coroutine
        limited = Limited(task, loop.time() + self._seconds)
        self._open[limited] = None
        if self._timer is None:
            self._timer = loop.call_at(limited.due, self._fire)
        return limited

    def end(self, limited: Limited) -> None:
        self._open.pop(limited, None)

    def _fire(self) -> None:
        loop = asyncio.get_running_loop()
        due = self.expire(loop.time())
        self._timer = None if due is None else loop.call_at(due, self._fire)

    def expire(self, now: float) -> float | None:
        """Cancels those whose time is over at ``now`` (of the loop's clock); gives the time at which the next one's is."""
        while self._open:
            oldest = next(iter(self._open))
            if oldest.due > now:
                return oldest.due
            del self._open[oldest]
            oldest.expired = True
            oldest.task.cancel()
        return None

    @staticmethod
    def is_cause(limited: Limited) -> bool:
        """Whether a cancellation that reached the task came from here alone; takes it back if so."""
        return limited.expired and limited.task.uncancel() <= limited.cancelling
