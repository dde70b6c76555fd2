"""Exponential back-off by key, as client-go's ``flowcontrol.Backoff`` times it for the kubelet: 10 s doubling to 300 s,
forgotten after ten minutes without trouble."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

_FORGET = timedelta(minutes=10)  # whatever the maximum is


@dataclass(frozen=True, slots=True)
class _Entry:
    delay: timedelta
    updated: datetime


class Backoff:
    """Remembers for each key how long to wait. Times are passed in."""

    def __init__(self, initial: timedelta = timedelta(seconds=10), maximum: timedelta = timedelta(seconds=300)) -> None:
        self._initial, self._maximum = min(initial, maximum), maximum
        self._entries: dict[Hashable, _Entry] = {}

    def _live(self, key: Hashable, event: datetime) -> _Entry | None:
        entry = self._entries.get(key)
        return None if entry is None or event - entry.updated > _FORGET else entry

    def until(self, key: Hashable, event: datetime) -> datetime | None:
        """When the wait after ``event`` (a container's end) is over; None when there is nothing to wait for."""
        entry = self._live(key, event)
        return event + entry.delay if entry else None

    def delay(self, key: Hashable) -> timedelta:
        """The current delay of the key."""
        entry = self._entries.get(key)
        return entry.delay if entry else timedelta(0)

    def last_update(self, key: Hashable) -> datetime | None:
        """When ``next`` was last called for the key."""
        entry = self._entries.get(key)
        return entry.updated if entry else None

    def next(self, key: Hashable, event: datetime, now: datetime) -> None:
        """Another attempt is made now, after ``event``: the next wait is twice as long."""
        entry = self._live(key, event)
        delay = min(entry.delay * 2, self._maximum) if entry else self._initial
        self._entries[key] = _Entry(delay, now)

    def forget(self, key: Hashable) -> None:
        self._entries.pop(key, None)

    def collect(self, now: datetime) -> None:
        """Drops what has expired."""
        self._entries = {k: e for k, e in self._entries.items() if now - e.updated <= _FORGET}
