"""Durations for people: as k8s.io/apimachinery/pkg/util/duration writes them in tables and in ``kubectl describe``, and as Go."""

from __future__ import annotations

from datetime import datetime, timedelta

from kubeling.api.meta import parse_time

UNKNOWN, INVALID = "<unknown>", "<invalid>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def short_human_duration(span: timedelta) -> str:
    """One unit only: ``12s``, ``3m``, ``5h``, ``2d``, ``1y``."""
    seconds = _whole_seconds(span)
    if seconds < -1:
        return INVALID
    if seconds < 0:
        return "0s"
    for limit, unit, name in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "m"), (_DAY, _HOUR, "h"), (_YEAR, _DAY, "d")):
        if seconds < limit:
            return f"{seconds // unit}{name}"
    return f"{seconds // _YEAR}y"


def human_duration(span: timedelta) -> str:
    """Two to three significant digits: ``119s``, ``2m5s``, ``10m``, ``7h59m``, ``47h``, ``7d23h``, ``2y5d``."""
    seconds = _whole_seconds(span)
    if seconds < -1:
        return INVALID
    if seconds < 0:
        return "0s"
    minutes, hours, days, years = seconds // _MINUTE, seconds // _HOUR, seconds // _DAY, seconds // _YEAR
    for applies, text in (
        (seconds < 2 * _MINUTE, f"{seconds}s"),
        (minutes < 10, _two(minutes, "m", seconds % _MINUTE, "s")),
        (minutes < 3 * 60, f"{minutes}m"),
        (hours < 8, _two(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (hours < 8 * 24, _two(days, "d", hours % 24, "h")),
        (hours < 2 * 365 * 24, f"{days}d"),
        (hours < 8 * 365 * 24, _two(years, "y", days % 365, "d")),
    ):
        if applies:
            return text
    return f"{years}y"


def age(timestamp: str | None, now: datetime) -> str:
    """The age of a metav1.Time as a table shows it; ``<unknown>`` where there is none."""
    return human_duration(now - parse_time(timestamp)) if timestamp else UNKNOWN


def _whole_seconds(span: timedelta) -> int:
    """Truncated towards zero, as Go converts a float."""
    return int(span.total_seconds())


def _two(major: int, major_unit: str, minor: int, minor_unit: str) -> str:
    return f"{major}{major_unit}" + (f"{minor}{minor_unit}" if minor else "")


def go_duration(seconds: float) -> str:
    """As Go prints a duration cut to milliseconds: ``850ms``, ``1.234s``, ``1m2.5s``."""
    millis = int(seconds * 1000 + 1e-6)
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + text
