"""A client's own limit of requests a second: a bucket of tokens, as client-go's flow control has it."""

from __future__ import annotations

from kubeling.client.clock import Clock, SystemClock


class Throttle:
    """``qps`` requests a second in the long run, ``burst`` at once. Waiters are served in the order in which they came."""

    def __init__(self, qps: float, burst: int, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._qps = qps
        self._burst = max(1, burst)
        self._tokens = float(self._burst)
        self._at = self._clock.monotonic()

    async def take(self) -> None:
        """Returns when the request may be sent."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
        self._at = now
        self._tokens -= 1  # below zero: the debt is what this one, and whoever comes after it, waits for
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / self._qps)
