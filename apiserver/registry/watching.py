"""Watches: the state to begin with, then every change, as chunks of JSON lines.

A stack of small generators would cost a hop an event; here one loop takes whole batches from the watcher and joins the
lines that the events carry ready-made.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from time import monotonic
from typing import Protocol

import orjson

from apiserver.cache.entry import Entry, Event, EventType
from apiserver.cache.kind_cache import TooOld
from apiserver.cache.watcher import Memo, Sink, Watcher
from apiserver.registry.listing import Filter, entry_filter, make_fresh
from apiserver.registry.objects import Objects
from apiserver.registry.options import ListOptions
from kubeling.api import errors
from kubeling.api.errors import StatusError

MIN_TIMEOUT = 1800.0
"""Seconds a watch lasts that names no timeout: this to twice this (upstream: --min-request-timeout)."""
BOOKMARK_SECONDS = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class LineView(Protocol):
    """How events are rendered: style (a key that equal renderings share), a line, a bookmark."""

    style: object

    def line(self, type_: EventType, entry: Entry) -> bytes: ...

    def bookmark(self, revision: int, annotations: dict[str, str]) -> bytes: ...


class Connection(Protocol):
    def write(self, data: bytes) -> bool:
        """False when the client is gone or reads too slowly."""
        ...


def frame(chunk: bytes) -> bytes:
    """A chunk of HTTP/1.1's chunked encoding; nothing for an empty one, which would end the answer."""
    return b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunk else b""


def error_line(err: StatusError) -> bytes:
    return b'{"type":"ERROR","object":%s}\n' % orjson.dumps(err.status)


class Watch:
    """One open watch; ``start`` decides what it begins with, ``stream`` gives its bytes."""

    def __init__(
        self, objects: Objects, scope: str, options: ListOptions, view: LineView, min_timeout: float = MIN_TIMEOUT
    ) -> None:
        self._objects = objects
        self._min_timeout = min_timeout
        self._options = options
        self._view = view
        self._select = entry_filter(objects, options)
        self._scope = scope
        self._initial: list[Entry] = []
        self._missed: list[Event] = []
        self._failure: StatusError | None = None
        self._sent = 0
        self._watcher: Watcher | None = None

    async def start(self) -> None:
        """Places the watch in the stream of changes. A resourceVersion that is too old becomes an ERROR event."""
        options, cache = self._options, self._objects.cache
        initial = options.initial_events if options.initial_events is not None else not options.version
        if initial:
            await make_fresh(self._objects, options.version)
            self._initial = [e for e in cache.scan() if self._in_scope(e)]
            self._sent = self._objects.hub.revision
        elif options.version:
            try:
                self._missed = [e for e in cache.events_after(options.version) if self._in_scope(e.entry)]
            except TooOld as err:
                self._failure = errors.expired(f"too old resource version: {options.version} ({err.oldest})")
            self._sent = max(options.version, self._objects.hub.revision)
        else:
            self._sent = self._objects.hub.revision
        self._watcher = cache.watch(self._scope)

    def _in_scope(self, entry: Entry) -> bool:
        scope = self._scope
        return not scope or entry.key == scope or (scope.endswith("/") and entry.key.startswith(scope))

    async def stream(self) -> AsyncIterator[bytes]:
        assert self._watcher is not None  # start() has run
        try:
            if self._failure is not None:
                yield error_line(self._failure)
                return
            async for chunk in self._chunks(self._watcher):
                yield chunk
        finally:
            self._watcher.close()

    async def feed(self, connection: Connection) -> None:
        """The same as ``stream``, without a task switch an event: chunks are framed once and written by all who
        share them."""
        watcher = self._watcher
        assert watcher is not None  # start() has run
        selective, style = self._select is not None, self._view.style

        def sink(events: list[Event], memo: Memo) -> None:
            key = (style, watcher.scope, events[0].revision, events[-1].revision, self._options.version)
            framed = None if selective else memo.get(key)
            if framed is None:
                chunk = b"".join(self._lines(events))
                framed = frame(chunk)
                if not selective:
                    memo[key] = framed
            if framed and not connection.write(framed):
                watcher.close()

        try:
            if self._failure is not None:
                connection.write(frame(error_line(self._failure)))
                return
            async for chunk in self._chunks(watcher, sink):
                if not connection.write(frame(chunk)):
                    return
        finally:
            watcher.close()

    async def _chunks(self, watcher: Watcher, sink: Sink | None = None) -> AsyncIterator[bytes]:
        options, view = self._options, self._view
        if self._initial:
            yield b"".join(self._initial_lines())
            self._initial = []
        if options.initial_events and options.bookmarks:
            yield view.bookmark(self._sent, {INITIAL_EVENTS_END: "true"})
        if self._missed:
            yield b"".join(self._lines(self._missed))
            self._missed = []
        if sink is not None:
            watcher.attach(sink)
        timeout = options.timeout if options.timeout else self._min_timeout * (1 + random.random())
        deadline = monotonic() + timeout
        bookmark_at = self._next_bookmark(deadline)
        while True:
            now = monotonic()
            if now >= deadline:
                return
            events = await watcher.next(min(deadline, bookmark_at) - now)
            if events is None:
                return
            if events:
                chunk = b"".join(self._lines(events))
                if chunk:
                    yield chunk
            if monotonic() >= bookmark_at:
                yield view.bookmark(self._objects.hub.revision, {})
                bookmark_at = self._next_bookmark(deadline)

    def _next_bookmark(self, deadline: float) -> float:
        """Every minute, and shortly before the end, so that the client resumes from where it is."""
        if not self._options.bookmarks:
            return deadline + 1
        last = deadline - 2
        return last if monotonic() < last < monotonic() + BOOKMARK_SECONDS else monotonic() + BOOKMARK_SECONDS

    def _initial_lines(self) -> Iterable[bytes]:
        select, view = self._select, self._view
        for entry in self._initial:
            if select is None or select(entry):
                yield view.line(EventType.ADDED, entry)

    def _lines(self, events: Iterable[Event]) -> Iterable[bytes]:
        select, view, after = self._select, self._view, self._options.version or 0
        for event in events:
            if event.revision <= after:
                continue
            if select is None:
                yield event.line(view.style, self._encoded, event.type)
                continue
            seen = as_seen(event, select)
            if seen is EventType.DELETED and event.type is not seen:
                yield event.left_line(view.style, self._encoded)
            elif seen is not None:
                yield event.line(view.style, self._encoded, seen)

    def _encoded(self, type_: EventType, entry: Entry) -> bytes:
        """The bytes of an event: counted, since they should be made once however many watch."""
        self._objects.cache.encoded += 1
        return self._view.line(type_, entry)


def as_seen(event: Event, select: Filter) -> EventType | None:
    """What a change is to a watcher with selectors: entering the selection adds, leaving it deletes."""
    now = event.type is not EventType.DELETED and select(event.entry)
    before = event.old is not None and select(event.old)
    if now:
        return EventType.MODIFIED if before else EventType.ADDED
    return EventType.DELETED if before else None
