"""What every watch must guarantee, as functions over recorded histories.

Each answers what is wrong, an empty list when nothing is. The six properties are etcd's, seen through the API:
ordered, unique, atomic, none missing, resumable from any revision, bookmarks truthful.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kubeling.api.meta import Key, Object, key_of
from kubeling.client.rest import WatchEvent


class Seen(NamedTuple):
    """An event with its revision."""

    version: int
    type: str
    object: Object


def seen(events: Iterable[WatchEvent]) -> list[Seen]:
    return [Seen(int(e.object["metadata"]["resourceVersion"]), e.type, e.object) for e in events]


def changes(history: Sequence[Seen]) -> list[Seen]:
    return [e for e in history if e.type != "BOOKMARK"]


def unordered(history: Sequence[Seen]) -> list[str]:
    """Revisions never go back, bookmarks included."""
    pairs = itertools.pairwise(history)
    return [f"{b.version} after {a.version}" for a, b in pairs if b.version < a.version]


def repeated(history: Sequence[Seen]) -> list[str]:
    """No object's revision is told twice."""
    told: set[tuple[Key, int]] = set()
    found = []
    for event in changes(history):
        identity = (key_of(event.object), event.version)
        if identity in told:
            found.append(f"{identity} twice")
        told.add(identity)
    return found


def torn(histories: Sequence[Sequence[Seen]]) -> list[str]:
    """Whoever watches sees the same object at a revision: never a mixture of two writes."""
    first: dict[tuple[Key, int], Seen] = {}
    found = []
    for event in (e for history in histories for e in changes(history)):
        known = first.setdefault((key_of(event.object), event.version), event)
        if (known.type, known.object) != (event.type, event.object):
            found.append(f"{key_of(event.object)} at {event.version} differs")
    return found


def missing(history: Sequence[Seen], written: Iterable[tuple[Key, int]]) -> list[str]:
    """Every acknowledged write is told."""
    told = {(key_of(e.object), e.version) for e in changes(history)}
    return [f"{key} at {version} was never told" for key, version in written if (key, version) not in told]


def unlike(whole: Sequence[Seen], resumed: Sequence[Seen], start: int) -> list[str]:
    """A watch resumed at a revision tells exactly what the uninterrupted one told after it."""
    wanted = [(e.version, e.type, key_of(e.object)) for e in changes(whole) if e.version > start]
    got = [(e.version, e.type, key_of(e.object)) for e in changes(resumed)]
    return [] if got[: len(wanted)] == wanted else [f"from {start}: {len(got)} events, wanted {len(wanted)}"]


def untruthful(history: Sequence[Seen], whole: Sequence[Seen]) -> list[str]:
    """Before a bookmark everything up to its revision has been told."""
    found = []
    for number, event in enumerate(history):
        if event.type == "BOOKMARK":
            told = {e.version for e in changes(history[:number])}
            start = history[0].version
            late = [e.version for e in changes(whole) if start <= e.version <= event.version and e.version not in told]
            found += [f"bookmark {event.version} before {version}" for version in late]
    return found


def wrong_types(history: Sequence[Seen], at_start: Mapping[Key, Object]) -> list[str]:
    """ADDED only for what was not there, MODIFIED and DELETED only for what was."""
    present = set(at_start)
    found = []
    for event in changes(history):
        key = key_of(event.object)
        if (event.type == "ADDED") == (key in present):
            found.append(f"{event.type} {key} at {event.version}")
        if event.type == "DELETED":
            present.discard(key)
        else:
            present.add(key)
    return found
