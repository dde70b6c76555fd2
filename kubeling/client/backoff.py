"""Exponential back-off with jitter, as a value that is asked for the next delay."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays ``initial * factor**n`` seconds up to ``maximum``, each lengthened by up to ``jitter`` of itself.

    A stretch of ``reset_after`` seconds without failure starts over; the caller says so with ``reset``.
    """

    initial: float = 0.8
    maximum: float = 30.0
    factor: float = 2.0
    jitter: float = 1.0
    random: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        delay = min(self.initial * self.factor ** min(self.failures, 60), self.maximum)
        self.failures += 1
        return delay * (1 + self.random.random() * self.jitter)

    def reset(self) -> None:
        self.failures = 0


class KeyedBackoff:
    """Per-key exponential back-off of a work queue, without jitter: 5 ms doubling to 1000 s as client-go's."""

    def __init__(self, base: float = 0.005, maximum: float = 1000.0) -> None:
        self._base = base
        self._maximum = maximum
        self._failures: dict[Hashable, int] = {}

    def next(self, key: Hashable) -> float:
        """Seconds until the key may be tried again; counts a failure."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return min(self._base * 2.0 ** min(failures, 60), self._maximum)

    def failures(self, key: Hashable) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: Hashable) -> None:
        self._failures.pop(key, None)
