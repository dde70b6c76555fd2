"""Events of the newer kind (events.k8s.io/v1): repetitions make a series on the first one.

The first repetition is written at once, further ones are counted and written when the series has been quiet for six minutes,
or every thirty while it goes on. Source of the rules: client-go's tools/events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, object_reference, rfc3339_micro
from kubeling.api.resources import EVENTS_V1
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client, PatchKind

log = logging.getLogger(__name__)

QUIET_SECONDS = 360.0
REFRESH_SECONDS = 1800.0
QUEUE_SIZE = 1000
MAX_NOTE = 1024


@dataclass(slots=True)
class _Known:
    """The event as the server keeps it; ``told``: the count that it knows."""

    event: Object
    count: int = 1
    told: int = 1
    last: str = ""
    seen_at: float = 0.0
    told_at: float = 0.0


class SeriesRecorder:
    """As ``EventRecorder``, for components that report with actions and related objects. ``run`` it as a task."""

    def __init__(self, client: Client, controller: str, instance: str, *, clock: Clock | None = None) -> None:
        self._client = client
        self._reporting = {"reportingController": controller, "reportingInstance": instance}
        self._clock = clock or SystemClock()
        self._queue: asyncio.Queue[Object] = asyncio.Queue(QUEUE_SIZE)
        self._known: dict[Hashable, _Known] = {}
        self._last_stamp = 0

    def event(
        self,
        obj: Mapping[str, Any],
        type_: str,
        reason: str,
        message: str,
        *,
        action: str = "",
        related: Mapping[str, Any] | None = None,
    ) -> None:
        """Tells ``message`` about ``obj`` without waiting; a full queue drops it."""
        regarding = object_reference(obj) if "metadata" in obj else dict(obj)
        now = self._clock.now()
        self._last_stamp = max(int(now.timestamp() * 1_000_000) * 1000, self._last_stamp + 1)
        name = f"{regarding.get('name', '')}.{self._last_stamp:x}"
        made: Object = {
            "metadata": {"name": name, "namespace": regarding.get("namespace") or "default"},
            "eventTime": rfc3339_micro(now),
            **self._reporting,
            "action": action or reason,
            "reason": reason,
            "regarding": regarding,
            "note": message[:MAX_NOTE],
            "type": type_,
        }
        if related is not None:
            made["related"] = object_reference(related) if "metadata" in related else dict(related)
        try:
            self._queue.put_nowait(made)
        except asyncio.QueueFull:
            log.warning("too many events waiting, dropped %s for %s", reason, regarding.get("name"))

    async def run(self) -> None:
        """Writes events until cancelled; failures are logged, never raised."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tend())
            while True:
                event = await self._queue.get()
                await self._take(event)
                self._queue.task_done()

    async def flush(self) -> None:
        """Returns when everything recorded so far has been written or counted."""
        await self._queue.join()

    async def _take(self, event: Object) -> None:
        key, now = _key(event), self._clock.monotonic()
        known = self._known.get(key)
        if known is None or now - known.seen_at > QUIET_SECONDS:
            known = self._known[key] = _Known(event, last=event["eventTime"], seen_at=now, told_at=now)
            await self._send(known)
            return
        known.count += 1
        known.last, known.seen_at = event["eventTime"], now
        if known.told == 1:
            await self._send(known)

    async def _tend(self) -> None:
        """Writes the counts of series that have ended, or that go on for long."""
        while True:
            await self._clock.sleep(QUIET_SECONDS)
            now = self._clock.monotonic()
            for key, known in list(self._known.items()):
                quiet = now - known.seen_at >= QUIET_SECONDS
                if known.count > known.told and (quiet or now - known.told_at >= REFRESH_SECONDS):
                    await self._send(known)
                if quiet and self._known.get(key) is known:
                    del self._known[key]

    async def _send(self, known: _Known) -> None:
        metadata = known.event["metadata"]
        try:
            if known.count == 1:
                await self._client.create(EVENTS_V1, known.event)
            else:
                series = {"series": {"count": known.count, "lastObservedTime": known.last}}
                await self._patch(known, metadata, series)
        except (StatusError, ClientError) as err:
            log.debug("cannot write an event: %s", err)
        else:
            known.told, known.told_at = known.count, self._clock.monotonic()

    async def _patch(self, known: _Known, metadata: Object, series: Object) -> None:
        try:
            await self._client.patch(
                EVENTS_V1, metadata["name"], series, metadata["namespace"], kind=PatchKind.STRATEGIC
            )
        except StatusError as err:
            if not is_not_found(err):
                raise
            await self._client.create(EVENTS_V1, {**known.event, **series})


def _key(event: Object) -> Hashable:
    """What makes two events the same but for their time and note."""

    def identity(reference: Mapping[str, str]) -> Hashable:
        return tuple(reference.get(k, "") for k in ("kind", "namespace", "name", "uid", "fieldPath"))

    related = identity(event["related"]) if "related" in event else None
    return event["type"], event["reason"], event["action"], identity(event["regarding"]), related
