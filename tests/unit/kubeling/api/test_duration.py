from datetime import UTC, datetime, timedelta

import pytest

from kubeling.api.duration import age, human_duration, short_human_duration

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 5, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (729 * DAY, "729d"),
        (2 * YEAR + 5 * DAY, "2y5d"),
        (8 * YEAR + 5 * DAY, "8y"),
    ],
)
def test_human_duration(seconds: int, text: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "59s"), (119, "1m"), (23 * HOUR, "23h"), (364 * DAY, "364d"), (YEAR, "1y")]
)
def test_short_human_duration(seconds: int, text: str) -> None:
    assert short_human_duration(timedelta(seconds=seconds)) == text


def test_age_of_a_missing_time_is_unknown() -> None:
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert age(None, now) == "<unknown>"
    assert age("2026-01-01T00:00:00Z", now) == "60m"
