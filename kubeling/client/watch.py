"""The stream of watch events: bytes to lines, lines to events, error events to ``StatusError``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson

from kubeling.api.errors import StatusError, internal_error
from kubeling.api.meta import Object
from kubeling.client.errors import ConnectionFailed


class WatchEvent(NamedTuple):
    """``type``: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Complete lines of a byte stream; raises ConnectionFailed when it breaks off within one."""
    rest: list[bytes] = []
    async for chunk in chunks:
        head, *tail = chunk.split(b"\n")
        rest.append(head)
        for piece in tail:
            line = b"".join(rest)
            rest = [piece]
            if line:
                yield line
    if any(piece.strip() for piece in rest):
        raise ConnectionFailed("the watch broke off in the middle of an event")


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent]:
    """The events of a watch response. An ERROR event is raised as the StatusError it carries."""
    async for line in lines(chunks):
        event = orjson.loads(line)
        if event["type"] == "ERROR":
            raise as_error(event["object"])
        yield WatchEvent(event["type"], event["object"])


def as_error(status: Object) -> StatusError:
    """A StatusError from a decoded Status; anything else becomes an internal error."""
    if status.get("kind") == "Status":
        return StatusError(status)
    return internal_error(f"unexpected object in an error event: {status.get('kind')}")
