"""Run-time values. Most are Python's own (bool, int, float, str, bytes, None, list, dict); here are the others, equality, order.

Timestamps and durations count nanoseconds, as Go's do.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubeling.api.quantity import Quantity

from .errors import CelError
from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    opaque,
    optional_of,
    type_of,
)

SECOND = 1_000_000_000
NO_OVERLOAD = "no such overload"


class UInt(int):
    """An unsigned 64-bit integer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanos: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    nanos: int

    def moment(self, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
        base = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=self.nanos // 1000)
        return base.astimezone(zone)


@dataclass(frozen=True, slots=True)
class Optional:
    value: Any = None
    present: bool = True


NONE = Optional(None, False)


class Opaque:
    """A value of a library (an address, a version, an authorizer): ``type`` is its CEL type."""

    __slots__ = ()
    type: Type = DYN


class StructValue(dict[str, Any]):
    """An object built by an expression: its type's name beside its fields."""

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.name = name


_TYPES = {
    bool: BOOL, int: INT, UInt: UINT, float: DOUBLE, str: STRING, bytes: BYTES, type(None): NULL,
    Timestamp: TIMESTAMP, Duration: DURATION, list: list_of(DYN), dict: map_of(DYN, DYN),
    Optional: optional_of(DYN), Quantity: opaque("kubernetes.Quantity"), Type: type_of(DYN),
}  # fmt: skip


def type_value(value: Any) -> Type:
    found = _TYPES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, StructValue):
        return Type("object", value.name)
    if isinstance(value, dict):
        return _TYPES[dict]
    return value.type if isinstance(value, Opaque) else DYN


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(a: Any, b: Any) -> bool:
    """Equality across all types: numbers by value, values of different types are different."""
    ta, tb = type(a), type(b)
    if ta is tb and ta not in (list, dict, StructValue, Optional):
        return bool(a == b)
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if is_number(a) and is_number(b):
        return bool(a == b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(k in b and equal(v, b[k]) for k, v in a.items())
    if isinstance(a, Optional) and isinstance(b, Optional):
        return a.present == b.present and equal(a.value, b.value)
    return bool(ta is tb and a == b)


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1. Raises CelError where the two have no order."""
    if not (is_number(a) and is_number(b)) and (type(a) is not type(b) or type(a) not in _ORDERED):
        raise CelError(NO_OVERLOAD)
    if a != a or b != b:
        raise CelError("NaN values cannot be ordered")
    return int(a > b) - int(a < b)


_ORDERED = (bool, str, bytes, Timestamp, Duration)
INT_RANGE = (-(1 << 63), (1 << 63) - 1)
MAX_UINT = (1 << 64) - 1


def checked_int(value: int) -> int:
    if not INT_RANGE[0] <= value <= INT_RANGE[1]:
        raise CelError("integer overflow")
    return value


def checked_uint(value: int) -> UInt:
    if not 0 <= value <= MAX_UINT:
        raise CelError("unsigned integer overflow")
    return UInt(value)


_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def parse_duration(text: str) -> Duration:
    """Go's durations: ``1h30m``, ``-1.5s``, ``0``. Raises CelError with Go's words."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return Duration(0)
    total, at = Decimal(0), 0
    while at < len(body):
        found = _PART.match(body, at)
        if found is None:
            break
        total += Decimal(found[1]) * _UNITS[found[2]]
        at = found.end()
    if not body or at < len(body):
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        rest = re.match(r"[\d.]*([^\d.]*)", body[at:])
        if body and rest and re.match(r"[\d.]+$", body[at:]):
            raise CelError(f"time: missing unit in duration {quoted}")
        if rest and rest[1] and re.match(r"\d|\.\d", body[at:]):
            raise CelError(f'time: unknown unit "{rest[1]}" in duration {quoted}')
        raise CelError(f"time: invalid duration {quoted}")
    nanos = int(total) * (-1 if text.startswith("-") else 1)
    if not INT_RANGE[0] <= nanos <= INT_RANGE[1]:
        raise CelError(f'time: invalid duration "{text}"')
    return Duration(nanos)


_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
MIN_TIME, MAX_TIME = -62135596800 * SECOND, 253402300799 * SECOND + SECOND - 1


def parse_timestamp(text: str) -> Timestamp:
    found = _RFC3339.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        zone = found[8]
        offset = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[4:])) * (-60 if zone[0] == "-" else 60)
        moment = dt.datetime(*(int(found[i]) for i in range(1, 7)), tzinfo=dt.UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        raise CelError(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        ) from None
    seconds = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1) - offset
    return Timestamp(seconds * SECOND + int((found[7] or "0").ljust(9, "0")[:9]))


def format_timestamp(value: Timestamp) -> str:
    fraction = f"{value.nanos % SECOND:09d}".rstrip("0")
    return value.moment().strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{fraction}" if fraction else "") + "Z"


def format_double(value: float) -> str:
    """Go's %g with the shortest digits that read back."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text, point = "".join(map(str, digits)), len(digits) + exponent
    if value == 0:
        return "-0" if sign else "0"
    if -4 < point <= 21:
        out = format(Decimal(repr(value)), "f")
        return out.rstrip("0").rstrip(".") if "." in out else out
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'+' if point - 1 >= 0 else '-'}{abs(point - 1):02d}"


def format_duration(value: Duration) -> str:
    """CEL's text of a duration: seconds."""
    return format_double(value.nanos / SECOND) + "s" if value.nanos % SECOND else f"{value.nanos // SECOND}s"
