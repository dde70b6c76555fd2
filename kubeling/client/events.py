"""Events: what components tell users about objects, without flooding anybody.

``EventRecorder`` writes core/v1 Events. Repeated ones become one Event with a count, more than ten similar ones in ten
minutes one "(combined from similar events)", and an object about which a component talks too much is silenced for a while.
Source of the rules and numbers: client-go's EventCorrelator.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Object, object_reference, rfc3339
from kubeling.api.resources import EVENTS
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import ClientError
from kubeling.client.rest import Client, PatchKind

log = logging.getLogger(__name__)

CACHE_SIZE = 4096
SPAM_BURST = 25
SPAM_REFILL_SECONDS = 300.0
SIMILAR_LIMIT = 10
SIMILAR_SECONDS = 600.0
COMBINED = "(combined from similar events): "
QUEUE_SIZE = 1000
SEND_ATTEMPTS = 12
RETRY_SECONDS = 10.0


class Lru(OrderedDict[Hashable, Any]):
    """A mapping that forgets what was used longest ago."""

    def touch(self, key: Hashable) -> Any:
        """The value, now the most recently used; None when absent."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def keep(self, key: Hashable, value: Any) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > CACHE_SIZE:
            self.popitem(last=False)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    at: float


@dataclass(slots=True)
class _Seen:
    count: int
    first: str
    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An Event to write: created when ``patch`` is None, else patched (and created when it has gone meanwhile)."""

    event: Object
    patch: Object | None
    key: Hashable


@dataclass
class EventCorrelator:
    """Decides what becomes of each event; pure but for its memory. Times are monotonic seconds."""

    _buckets: Lru = field(default_factory=Lru)
    _similar: Lru = field(default_factory=Lru)
    _seen: Lru = field(default_factory=Lru)

    def correlate(self, event: Object, now: float) -> Outgoing | None:
        """The write for this event, or None when it is dropped as spam."""
        source = (event["source"].get("component", ""), event["source"].get("host", ""))
        about = tuple(event["involvedObject"].get(k, "") for k in ("kind", "namespace", "name", "uid", "apiVersion"))
        if not self._allowed((source, about), now):
            return None
        field_path = event["involvedObject"].get("fieldPath", "")
        group = (source, about, field_path, event["type"], event["reason"], event["reportingComponent"])
        combined = self._is_flood(group, event["message"], now)
        if combined:
            event = {**event, "message": COMBINED + event["message"]}
        key = (group, "" if combined else event["message"])
        return self._counted(key, event)

    def sent(self, outgoing: Outgoing, stored: Object) -> None:
        """Remembers under which name the server keeps the event."""
        seen = self._seen.get(outgoing.key)
        if seen is not None:
            seen.name = stored["metadata"]["name"]

    def _allowed(self, key: Hashable, now: float) -> bool:
        bucket = self._buckets.touch(key) or _Bucket(float(SPAM_BURST), now)
        bucket.tokens = min(SPAM_BURST, bucket.tokens + (now - bucket.at) / SPAM_REFILL_SECONDS)
        bucket.at = now
        self._buckets.keep(key, bucket)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _is_flood(self, group: Hashable, message: str, now: float) -> bool:
        """True when the group has seen too many different messages lately."""
        similar = self._similar.touch(group)
        if similar is None or now - similar.at > SIMILAR_SECONDS:
            similar = _Similar(set(), now)
        similar.messages.add(message)
        similar.at = now
        self._similar.keep(group, similar)
        if len(similar.messages) < SIMILAR_LIMIT:
            return False
        similar.messages.pop()
        return True

    def _counted(self, key: Hashable, event: Object) -> Outgoing:
        seen = self._seen.touch(key)
        if seen is None:
            metadata = event["metadata"]
            self._seen.keep(key, _Seen(1, event["firstTimestamp"], metadata["name"], metadata["namespace"]))
            return Outgoing(event, None, key)
        seen.count += 1
        counted = {
            **event,
            "metadata": {"name": seen.name, "namespace": seen.namespace},
            "count": seen.count,
            "firstTimestamp": seen.first,
        }
        patch = {k: counted[k] for k in ("count", "lastTimestamp", "message")}
        return Outgoing(counted, patch, key)


class Recorder(Protocol):
    """What every recorder can be told, whichever API it writes to."""

    def event(self, obj: Mapping[str, Any], type_: str, reason: str, message: str) -> None: ...


class EventRecorder:
    """Records events without waiting; ``run`` it as a task, which writes them. A full queue drops events."""

    def __init__(
        self,
        client: Client,
        component: str,
        *,
        host: str = "",
        clock: Clock | None = None,
        correlator: EventCorrelator | None = None,
    ) -> None:
        self._client = client
        self._source = {"component": component, **({"host": host} if host else {})}
        self._host = host
        self._clock = clock or SystemClock()
        self._correlator = correlator or EventCorrelator()
        self._queue: asyncio.Queue[Object] = asyncio.Queue(QUEUE_SIZE)
        self._last_stamp = 0

    def event(
        self,
        obj: Mapping[str, Any],
        type_: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Tells ``message`` about ``obj`` (an object or an object reference); ``type_`` is Normal or Warning."""
        reference = object_reference(obj) if "metadata" in obj else dict(obj)
        if field_path:
            reference["fieldPath"] = field_path
        now = self._clock.now()
        namespace = reference.get("namespace") or "default"
        metadata: Object = {"name": f"{reference.get('name', '')}.{self._stamp(now):x}", "namespace": namespace}
        if annotations:
            metadata["annotations"] = dict(annotations)
        made: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
            "count": 1,
            "type": type_,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._host,
        }
        try:
            self._queue.put_nowait(made)
        except asyncio.QueueFull:
            log.warning("too many events waiting, dropped %s for %s", reason, reference.get("name"))

    async def run(self) -> None:
        """Writes events until cancelled; failures are logged, never raised."""
        while True:
            event = await self._queue.get()
            outgoing = self._correlator.correlate(event, self._clock.monotonic())
            if outgoing is not None:
                await self._send(outgoing)
            self._queue.task_done()

    async def flush(self) -> None:
        """Returns when everything recorded so far has been written."""
        await self._queue.join()

    async def _send(self, outgoing: Outgoing) -> None:
        for attempt in range(SEND_ATTEMPTS):
            try:
                self._correlator.sent(outgoing, await self._write(outgoing))
                return
            except StatusError as err:
                log.debug("the server rejected an event: %s", err)  # as upstream: not tried again
                return
            except ClientError as err:
                log.debug("cannot write an event: %s", err)
            if attempt + 1 < SEND_ATTEMPTS:
                await self._clock.sleep(RETRY_SECONDS)

    async def _write(self, outgoing: Outgoing) -> Object:
        metadata = outgoing.event["metadata"]
        if outgoing.patch is not None:
            try:
                return await self._client.patch(
                    EVENTS, metadata["name"], outgoing.patch, metadata["namespace"], kind=PatchKind.STRATEGIC
                )
            except StatusError as err:
                if not is_not_found(err):
                    raise
        return await self._client.create(EVENTS, outgoing.event)

    def _stamp(self, now: datetime) -> int:
        """Nanoseconds, unique within the recorder: part of the event's name."""
        self._last_stamp = max(int(now.timestamp() * 1_000_000) * 1000, self._last_stamp + 1)
        return self._last_stamp
