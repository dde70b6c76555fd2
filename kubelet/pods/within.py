"""Waiting no longer than so many seconds of the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from kubeling.client.clock import Clock


async def within(clock: Clock, seconds: float, waiting: Coroutine[Any, Any, Any]) -> bool:
    """True when it came to its end before; else it is cancelled."""
    task = asyncio.ensure_future(waiting)

    def over() -> None:
        task.cancel()

    timer = clock.call_later(seconds, over)
    try:
        await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        return False
    finally:
        timer.cancel()
        task.cancel()
    return True
