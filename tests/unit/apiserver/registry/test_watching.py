from __future__ import annotations

import pytest

from apiserver.cache.entry import Entry, Event, EventType
from apiserver.registry.watching import as_seen, frame

IN, OUT = {"in": "1"}, {"in": "0"}


def entry(labels: dict[str, str], revision: int = 2) -> Entry:
    return Entry("ns/a", revision, b'{"metadata":{"resourceVersion":"%d"}}' % revision, labels, ())


@pytest.mark.parametrize(
    ("type_", "before", "now", "seen"),
    [
        (EventType.ADDED, None, IN, EventType.ADDED),
        (EventType.ADDED, None, OUT, None),
        (EventType.MODIFIED, OUT, IN, EventType.ADDED),
        (EventType.MODIFIED, IN, IN, EventType.MODIFIED),
        (EventType.MODIFIED, IN, OUT, EventType.DELETED),
        (EventType.MODIFIED, OUT, OUT, None),
        (EventType.DELETED, IN, IN, EventType.DELETED),
        (EventType.DELETED, OUT, OUT, None),
    ],
)
def test_what_a_selector_makes_of_a_change(
    type_: EventType, before: dict[str, str] | None, now: dict[str, str], seen: EventType | None
) -> None:
    event = Event(type_, entry(now), entry(before, 1) if before else None)
    assert as_seen(event, lambda e: e.labels["in"] == "1") is seen


def test_what_left_is_told_as_it_was_at_the_new_revision() -> None:
    event = Event(EventType.MODIFIED, entry(OUT, 9), entry(IN, 4))
    assert event.left_line("x", lambda type_, e: b"%s %s" % (type_.encode(), e.body)) == (
        b'DELETED {"metadata":{"resourceVersion":"9"}}'
    )


def test_frames_are_chunks_of_http() -> None:
    assert frame(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_an_empty_chunk_would_end_the_answer() -> None:
    assert frame(b"") == b""
