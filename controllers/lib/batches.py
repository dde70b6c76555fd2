"""Many writes at once without a flood of failures: batches of 1, 2, 4, ... that end at the first failing one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def slow_start(
    items: Sequence[T], act: Callable[[T], Awaitable[object]], *, first: int = 1
) -> tuple[int, Exception | None]:
    """Acts on the items in doubling batches; answers how many succeeded and the first failure, after which it stops."""
    successes = at = 0
    size = first
    while at < len(items):
        batch = items[at : at + size]
        failure, good = await _all(batch, act)
        successes += good
        if failure is not None:
            return successes, failure
        at += len(batch)
        size *= 2
    return successes, None


async def together(items: Sequence[T], act: Callable[[T], Awaitable[object]]) -> Exception | None:
    """Acts on all items at once; answers the first failure."""
    failure, _ = await _all(items, act)
    return failure


async def _all(items: Sequence[T], act: Callable[[T], Awaitable[object]]) -> tuple[Exception | None, int]:
    results = await asyncio.gather(*(act(item) for item in items), return_exceptions=True)
    failures = [r for r in results if isinstance(r, BaseException)]
    for failure in failures:
        if not isinstance(failure, Exception):
            raise failure
    first = next((f for f in failures if isinstance(f, Exception)), None)
    return first, len(results) - len(failures)
