"""Everything known of one kind: the objects as they are, and the latest changes in a ring."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from apiserver.cache.entry import Entry, Event, EventType, Form, decoded_entry, entry_of
from apiserver.cache.watcher import Memo, Watcher
from apiserver.storage.base import Change, KeyValue
from kubeling.api.meta import Object

log = logging.getLogger(__name__)
FRESH_SECONDS = 75.0
"""How far a watch can go back for certain, so far as ``MOST`` changes reach; from older ones on it ends in 410. This and
the bounds are those of upstream's watch cache (its eventFreshDuration), but for the upper one, 102,400 there."""
FEWEST, MOST = 100, 10_000

ROUND_SECONDS = 0.04
"""How long events may gather for a kind with many watchers."""
_SECONDS_A_WATCHER = 50e-6
_AT_ONCE = 250

Listener = Callable[[Event], None]


class TooOld(Exception):
    """The revision asked for is older than the ring; ``oldest`` is where it starts."""

    def __init__(self, oldest: int) -> None:
        super().__init__("too old")
        self.oldest = oldest


def prefix_range(keys: Sequence[str], prefix: str) -> tuple[int, int]:
    """Where the keys with the prefix lie in a sorted sequence."""
    if not prefix:
        return 0, len(keys)
    return bisect_left(keys, prefix), bisect_left(keys, prefix[:-1] + chr(ord(prefix[-1]) + 1))


class KindCache:
    """Fed by the hub alone, on the loop. ``prefix`` is the kind's folder in the store."""

    def __init__(self, prefix: str, form: Form, clock: Callable[[], float] = time.monotonic) -> None:
        self.prefix = prefix
        self.form = form
        self._clock = clock
        self.synced = False
        self.revision = 0
        """Of the last change of the kind (after loading: of the store when it was read)."""
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._ring: deque[Event] = deque()
        self._ring_start = 0
        self._watchers: dict[str, set[Watcher]] = {}
        self._listeners: list[Listener] = []
        self._pending: list[Change] = []
        self._due: list[Watcher] = []
        self.received = 0
        """Changes taken."""
        self.sent = 0
        """Events handed to watchers."""
        self.encoded = 0
        """Times that the bytes of an event were made for watchers."""
        self._round: asyncio.TimerHandle | None = None

    # reading

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def __len__(self) -> int:
        return len(self._entries)

    def scan(self, prefix: str = "", start: str = "") -> Iterator[Entry]:
        """Entries in key order whose keys have the prefix, from ``start`` (inclusive) on. No await while iterating."""
        first, last = prefix_range(self._keys, prefix)
        if start:
            first = max(first, bisect_left(self._keys, start))
        entries = self._entries
        for key in self._keys[first:last]:
            yield entries[key]

    def count(self, prefix: str, start: str) -> int:
        """How many keys with the prefix there are from ``start`` (inclusive) on."""
        first, last = prefix_range(self._keys, prefix)
        return last - max(first, bisect_left(self._keys, start))

    # watching

    def events_after(self, revision: int) -> list[Event]:
        """The ring's events after a revision. Raises ``TooOld``."""
        if revision < self._ring_start:
            raise TooOld(self._ring_start)
        if not self._ring or self._ring[-1].revision <= revision:
            return []
        found = []
        for event in reversed(self._ring):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def watch(self, scope: str) -> Watcher:
        """Starts to deliver changes from this moment on."""
        watcher = Watcher(scope, self)
        self._watchers.setdefault(scope, set()).add(watcher)
        return watcher

    def left(self, watcher: Watcher) -> None:
        group = self._watchers.get(watcher.scope)
        if group is not None:
            group.discard(watcher)
            if not group:
                del self._watchers[watcher.scope]

    def waits(self, watcher: Watcher) -> None:
        """Few watchers are told at once; many are told in rounds, so that each write carries several events."""
        self._due.append(watcher)
        if self._round is None:
            delay = min(ROUND_SECONDS, self.watchers * _SECONDS_A_WATCHER)
            self._round = asyncio.get_running_loop().call_later(delay, self._deliver)

    def _deliver(self) -> None:
        """Tells a part of those who wait, then lets others have the loop."""
        memo: Memo = {}
        due, self._due = self._due[:_AT_ONCE], self._due[_AT_ONCE:]
        for watcher in due:
            try:
                watcher.deliver(memo)
            except Exception:  # one that cannot be told must not keep the others waiting
                log.exception("a watch of %s ends", self.prefix)
                watcher.close()
        loop = asyncio.get_running_loop()
        self._round = loop.call_later(0, self._deliver) if self._due else None

    @property
    def watchers(self) -> int:
        return sum(len(group) for group in self._watchers.values())

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls back on every change; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def close_watchers(self) -> None:
        for watcher in [w for group in self._watchers.values() for w in group]:
            watcher.close()

    # feeding

    def load(self, items: Iterable[KeyValue], revision: int) -> None:
        """Replaces the content with what the store held at ``revision``, then takes the changes that came meanwhile."""
        at = len(self.prefix)
        before, self._entries = self._entries, {}
        for item in items:
            entry = entry_of(item.key[at:], item.value, item.revision, self.form)
            self._entries[entry.key] = entry
        self._keys = sorted(self._entries)
        self._ring.clear()
        self._ring_start = self.revision = revision
        self.synced = True
        if self._listeners:
            self._tell_difference(before)
        pending, self._pending = self._pending, []
        for change in pending:
            if change.revision > revision:
                self.apply(change)

    def _tell_difference(self, before: dict[str, Entry]) -> None:
        """What listeners missed while the hub could not follow the store."""
        for key, old in before.items():
            if key not in self._entries:
                self._tell(Event(EventType.DELETED, old.deleted_at(self.revision), old))
        for key, entry in self._entries.items():
            old_entry = before.get(key)
            if old_entry is None or old_entry.revision != entry.revision:
                self._tell(Event(EventType.MODIFIED if old_entry else EventType.ADDED, entry, old_entry))

    def unload(self) -> None:
        """The hub lost the thread: watches end, changes wait for the next ``load``."""
        self.synced = False
        self.close_watchers()

    def apply(self, change: Change) -> None:
        """Takes one change: content, ring, watchers, listeners."""
        if not self.synced:
            self._pending.append(change)
            return
        self.received += 1
        event, obj = self._event(change)
        self.revision = change.revision
        if event is None:
            return
        self._remember(event)
        self._publish(event)
        if self._listeners:
            event.obj = obj
            self._tell(event)
            event.obj = None

    def _remember(self, event: Event) -> None:
        """What is no longer fresh goes: kinds that change all the time, like Leases, would else fill the ring."""
        now, ring = self._clock(), self._ring
        event.at = now
        ring.append(event)
        while len(ring) > MOST or (len(ring) > FEWEST and now - ring[0].at > FRESH_SECONDS):
            self._ring_start = ring.popleft().revision

    def _event(self, change: Change) -> tuple[Event | None, Object | None]:
        """The event and, unless it is a deletion, the object."""
        key = change.key[len(self.prefix) :]
        old = self._entries.get(key)
        if change.value is None:
            if old is None:
                return None, None
            del self._entries[key]
            del self._keys[bisect_left(self._keys, key)]
            return Event(EventType.DELETED, old.deleted_at(change.revision), old), None
        entry, obj = decoded_entry(key, change.value, change.revision, self.form)
        self._entries[key] = entry
        if old is None:
            insort(self._keys, key)
            return Event(EventType.ADDED, entry, None), obj
        return Event(EventType.MODIFIED, entry, old), obj

    def _publish(self, event: Event) -> None:
        if not self._watchers:
            return
        entry = event.entry
        for scope in ("", f"{entry.namespace}/", entry.key):
            group = self._watchers.get(scope)
            if group:
                self.sent += len(group)
                for watcher in tuple(group):
                    watcher.push(event)

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)
