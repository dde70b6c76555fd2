from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

from kubeling.api.meta import new_uid, rfc3339, rfc3339_micro


def test_uids_are_random_uuids() -> None:
    made = [new_uid() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text for text in made)
    assert all(uuid.UUID(text).variant == uuid.RFC_4122 for text in made)


def test_times_are_whole_seconds_of_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert rfc3339(moment) == "2026-01-02T03:04:05Z"
    assert rfc3339(moment.astimezone(timezone(timedelta(hours=2)))) == "2026-01-02T03:04:05Z"
    assert rfc3339(moment + timedelta(seconds=1)) == "2026-01-02T03:04:06Z"
    early = datetime(1, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert (rfc3339(early), rfc3339_micro(early)) == ("0001-01-01T00:00:02Z", "0001-01-01T00:00:02.000000Z")
