"""Cron schedules as github.com/robfig/cron/v3 reads them: five fields, or a descriptor such as ``@daily``.

``parse(text)`` gives a ``Schedule``, or raises ``CronError`` with the library's wording;
``Schedule.next(moment)`` is the next time it fires.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = {
    m: i + 1 for i, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
}
_DAYS = {d: i for i, d in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_YEARS = 5
"""How far ahead the library looks for the next time."""


class CronError(ValueError):
    """The text is no schedule; the message is the library's."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: Mapping[str, int]


_BOUNDS = (
    _Bounds(0, 59, {}),
    _Bounds(0, 23, {}),
    _Bounds(1, 31, {}),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class _Field:
    values: frozenset[int]
    star: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something happens: the five fields, or every so often. ``zone`` is the one named in the text, if any."""

    fields: tuple[_Field, ...] = ()
    every: timedelta | None = None
    zone: tzinfo | None = None

    def next(self, moment: datetime) -> datetime | None:
        """The first time after ``moment`` (aware), in its zone; None when there is none within five years."""
        if self.every is not None:
            return moment.replace(microsecond=0) + self.every
        zone = self.zone or moment.tzinfo
        local = moment.astimezone(zone).replace(second=0, microsecond=0)
        limit = local.year + _YEARS
        local = _step_minute(local)
        while local.year <= limit:
            jump = self._jump(local)
            if jump is None:
                return local.astimezone(moment.tzinfo)
            local = jump
        return None

    def _jump(self, local: datetime) -> datetime | None:
        """The next candidate when ``local`` does not match, None when it does."""
        minute, hour, _, month, _ = self.fields
        if local.month not in month.values:
            following = (local.replace(day=1) + timedelta(days=32)).replace(day=1)
            return following.replace(hour=0, minute=0)
        if not self._day_matches(local):
            return (local + timedelta(days=1)).replace(hour=0, minute=0)
        if local.hour not in hour.values:
            return _step_hour(local)
        if local.minute not in minute.values:
            return _step_minute(local)
        return None

    def _day_matches(self, local: datetime) -> bool:
        days, weekdays = self.fields[2], self.fields[4]
        in_month = local.day in days.values
        in_week = local.isoweekday() % 7 in weekdays.values
        return in_month and in_week if days.star or weekdays.star else in_month or in_week


def _step_minute(local: datetime) -> datetime:
    """A minute later on the clock of real time, so that hours that clocks skip are skipped."""
    return (local.astimezone(ZoneInfo("UTC")) + timedelta(minutes=1)).astimezone(local.tzinfo)


def _step_hour(local: datetime) -> datetime:
    return _step_minute(local.replace(minute=59))


def parse(text: str) -> Schedule:
    """A schedule, optionally with a leading ``TZ=`` or ``CRON_TZ=``. Raises CronError."""
    if not text:
        raise CronError("empty spec string")
    zone: tzinfo | None = None
    if text.startswith(("TZ=", "CRON_TZ=")):
        prefix, _, rest = text.partition(" ")
        name = prefix.partition("=")[2]
        zone, text = _zone(name), rest.strip()
    if text.startswith("@"):
        return _descriptor(text, zone)
    words = text.split()
    if len(words) != len(_BOUNDS):
        raise CronError(f"expected exactly {len(_BOUNDS)} fields, found {len(words)}: [{' '.join(words)}]")
    return Schedule(tuple(_field(word, bounds) for word, bounds in zip(words, _BOUNDS, strict=True)), zone=zone)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CronError(f"provided bad location {name}: unknown time zone {name}") from error


def _descriptor(text: str, zone: tzinfo | None) -> Schedule:
    if text in _DESCRIPTORS:
        words = _DESCRIPTORS[text].split()
        return Schedule(tuple(_field(w, b) for w, b in zip(words, _BOUNDS, strict=True)), zone=zone)
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        return Schedule(every=_every(duration, text), zone=zone)
    raise CronError(f"unrecognized descriptor: {text}")


def _every(duration: str, text: str) -> timedelta:
    negative = duration.startswith("-")
    body = duration.lstrip("+-")
    parts = _DURATION.findall(body)
    if not parts or "".join(n + u for n, u in parts) != body:
        raise CronError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    return timedelta(seconds=1 if negative else max(int(seconds), 1))


def _field(text: str, bounds: _Bounds) -> _Field:
    values: set[int] = set()
    star = False
    for expression in [e for e in text.split(",") if e]:
        found, starred = _range(expression, bounds)
        values |= found
        star = star or starred
    return _Field(frozenset(values), star)


def _range(expression: str, bounds: _Bounds) -> tuple[set[int], bool]:
    parts = expression.split("/")
    ends = parts[0].split("-")
    star = ends[0] in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high
    else:
        start = _number(ends[0], bounds.names)
        if len(ends) > 2:
            raise CronError(f"too many hyphens: {expression}")
        end = _number(ends[1], bounds.names) if len(ends) == 2 else start
    step = 1
    if len(parts) > 2:
        raise CronError(f"too many slashes: {expression}")
    if len(parts) == 2:
        step = _number(parts[1], {})
        if len(ends) == 1:
            end = bounds.high
        star = star and step <= 1
    if start < bounds.low:
        raise CronError(f"beginning of range ({start}) below minimum ({bounds.low}): {expression}")
    if end > bounds.high:
        raise CronError(f"end of range ({end}) above maximum ({bounds.high}): {expression}")
    if start > end:
        raise CronError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {expression}")
    return set(range(start, end + 1, step)), star


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise CronError(f"negative number ({number}) not allowed: {text}")
    return number
