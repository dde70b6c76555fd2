"""The standard library: operators, conversions, strings, times, optionals."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from . import operators as op
from . import regexp
from .env import Function, function, of, on
from .errors import CelError
from .types import (
    BOOL,
    BYTES,
    CIDR,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    IP,
    STRING,
    TIMESTAMP,
    UINT,
    A,
    B,
    list_of,
    map_of,
    optional_of,
    type_of,
)
from .values import (
    INT_RANGE,
    MAX_UINT,
    NO_OVERLOAD,
    NONE,
    SECOND,
    Duration,
    Optional,
    Timestamp,
    UInt,
    checked_int,
    compare,
    equal,
    format_double,
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
    type_value,
)  # fmt: skip

_LIST_A, _MAP_AB, _OPT_A = list_of(A), map_of(A, B), optional_of(A)
_ORDERED = (BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION)
_NUMBERS = (INT, UINT, DOUBLE)


def walked(factor: float, *which: int) -> Callable[[list[Any], Any], int]:
    """The cost of walking over some arguments."""
    return lambda args, result: math.ceil(sum(op.actual_size(args[i]) for i in which) * factor)


def _either(args: list[Any], result: Any) -> int:
    return math.ceil(min(op.actual_size(args[0]), op.actual_size(args[1])) * 0.1)


def _sum_cost(args: list[Any], result: Any) -> int:
    return walked(0.1, 0, 1)(args, result) if isinstance(args[0], str | bytes | list) else 1


def pattern_cost(args: list[Any], result: Any) -> int:
    return math.ceil((1 + op.actual_size(args[0])) * 0.1) * math.ceil(op.actual_size(args[1]) * 0.25)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CelError(NO_OVERLOAD)
    return value


def _whole(value: float) -> int:
    if math.isnan(value) or not INT_RANGE[0] < value < INT_RANGE[1]:
        raise CelError("integer overflow")
    return int(value)


def to_int(value: Any) -> int:
    match value:
        case bool():
            raise CelError(NO_OVERLOAD)
        case int():
            return checked_int(int(value))
        case float():
            return _whole(value)
        case str():
            if not re.fullmatch(r"[+-]?\d+", value, re.ASCII) or not INT_RANGE[0] <= int(value) <= INT_RANGE[1]:
                problem = "value out of range" if re.fullmatch(r"[+-]?\d+", value, re.ASCII) else "invalid syntax"
                raise CelError(f"strconv.ParseInt: parsing {_quoted(value)}: {problem}")
            return int(value)
        case Timestamp():
            return value.nanos // SECOND
        case Duration():
            return value.nanos
    raise CelError(NO_OVERLOAD)


def to_uint(value: Any) -> UInt:
    if isinstance(value, str):
        if not re.fullmatch(r"\d+", value, re.ASCII) or int(value) > MAX_UINT:
            raise CelError(f"strconv.ParseUint: parsing {_quoted(value)}: invalid syntax")
        return UInt(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CelError(NO_OVERLOAD)
    if value != value or not 0 <= value <= MAX_UINT:
        raise CelError("unsigned integer overflow")
    return UInt(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_double(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise CelError(f"strconv.ParseFloat: parsing {_quoted(value)}: invalid syntax") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CelError(NO_OVERLOAD)
    return float(value)


def to_string(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return format_double(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
    text = getattr(value, "text", None)
    if isinstance(text, str):
        return text
    raise CelError(NO_OVERLOAD)


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if _text(value) in ("true", "True", "TRUE", "t", "1"):
        return True
    if value in ("false", "False", "FALSE", "f", "0"):
        return False
    raise CelError(f"strconv.ParseBool: parsing {_quoted(value)}: invalid syntax")


def _to_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else _text(value).encode()


def _to_timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    return Timestamp(value * SECOND) if type(value) is int else parse_timestamp(_text(value))


def _to_duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    return Duration(value) if type(value) is int else parse_duration(_text(value))


def _matches(text: Any, pattern: Any) -> bool:
    return regexp.compiled(_text(pattern)).search(_text(text)) is not None


def _zone(name: str) -> dt.tzinfo:
    if found := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name):
        minutes = int(found[2]) * 60 + int(found[3])
        return dt.timezone(dt.timedelta(minutes=-minutes if found[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise CelError(f"unknown time zone {name}") from None


def _part(read: Callable[[dt.datetime], int]) -> Callable[..., int]:
    def run(value: Any, zone: Any = "UTC") -> int:
        return read(value.moment(_zone(_text(zone)))) if isinstance(value, Timestamp) else _no()

    return run


def _no() -> Any:
    raise CelError(NO_OVERLOAD)


def _clock(read: Callable[[dt.datetime], int], unit: int, wrap: int = 0) -> Callable[..., int]:
    """Part of a timestamp, or a whole duration in that unit (milliseconds: those beyond the second)."""
    at = _part(read)

    def run(value: Any, *zone: Any) -> int:
        if isinstance(value, Duration):
            count = abs(value.nanos) // unit * (-1 if value.nanos < 0 else 1)
            return count % wrap if wrap else count
        return at(value, *zone)

    return run


def _optional(value: Any) -> Optional:
    return value if isinstance(value, Optional) else _no()


def _value(value: Any) -> Any:
    if not _optional(value).present:
        raise CelError("optional.none() dereference")
    return value.value


_ZERO: tuple[Any, ...] = (None, False, "", b"", [], {})


def _of_non_zero(value: Any) -> Optional:
    zero = (isinstance(value, int | float) and value == 0) or any(type(z) is type(value) and z == value for z in _ZERO)
    return NONE if zero else Optional(value)


def _insert(found: Any, *entry: Any) -> dict[Any, Any]:
    added = {entry[0]: entry[1]} if len(entry) == 2 else entry[0]
    for key in added:
        if key in found:
            raise CelError(f"insert failed: key {key} already exists")
    return {**found, **added}


def _getter(name: str, run: Callable[..., Any], *, duration: bool = False) -> Function:
    overloads = [on(TIMESTAMP, INT), on(TIMESTAMP, INT, STRING)] + ([on(DURATION, INT)] if duration else [])
    return function(name, run, *overloads)


def _comparison(name: str, test: Callable[[int], bool]) -> Function:
    mixed = [of(BOOL, a, b) for a in _NUMBERS for b in _NUMBERS if a is not b]
    return function(name, lambda a, b: test(compare(a, b)), *(of(BOOL, t, t) for t in _ORDERED), *mixed, cost=_either)


STANDARD: tuple[Function, ...] = (
    function("_?_:_", _no, of(A, BOOL, A, A)),
    function("_&&_", _no, of(BOOL, BOOL, BOOL)),
    function("_||_", _no, of(BOOL, BOOL, BOOL)),
    function("@not_strictly_false", _no, of(BOOL, BOOL)),
    function("!_", op.negation, of(BOOL, BOOL)),
    function("-_", op.negate, of(INT, INT), of(DOUBLE, DOUBLE)),
    function("_==_", equal, of(BOOL, A, A), cost=_either),
    function("_!=_", lambda a, b: not equal(a, b), of(BOOL, A, A), cost=_either),
    _comparison("_<_", lambda c: c < 0),
    _comparison("_<=_", lambda c: c <= 0),
    _comparison("_>_", lambda c: c > 0),
    _comparison("_>=_", lambda c: c >= 0),
    function(
        "_+_", op.add, *(of(t, t, t) for t in (BYTES, DOUBLE, DURATION, INT, STRING, UINT, _LIST_A)),
        of(TIMESTAMP, DURATION, TIMESTAMP), of(TIMESTAMP, TIMESTAMP, DURATION), cost=_sum_cost,
    ),
    function("_-_", op.subtract, *(of(t, t, t) for t in (DOUBLE, DURATION, INT, UINT)),
             of(TIMESTAMP, TIMESTAMP, DURATION), of(DURATION, TIMESTAMP, TIMESTAMP)),
    function("_*_", op.multiply, *(of(t, t, t) for t in _NUMBERS)),
    function("_/_", op.divide, *(of(t, t, t) for t in _NUMBERS)),
    function("_%_", op.modulo, of(INT, INT, INT), of(UINT, UINT, UINT)),
    function("@in", op.contained, of(BOOL, A, _LIST_A), of(BOOL, A, _MAP_AB),
             cost=lambda a, r: op.actual_size(a[1]) if isinstance(a[1], list) else 1),
    function("_[_]", op.index, of(A, _LIST_A, INT), of(B, _MAP_AB, A),
             of(optional_of(A), optional_of(_LIST_A), INT), of(optional_of(B), optional_of(_MAP_AB), A)),
    function("_[?_]", op.optional_index, of(_OPT_A, _LIST_A, INT), of(optional_of(B), _MAP_AB, A),
             of(_OPT_A, optional_of(_LIST_A), INT), of(optional_of(B), optional_of(_MAP_AB), A)),
    function("size", op.size, *(o for t in (STRING, BYTES, _LIST_A, _MAP_AB) for o in (of(INT, t), on(t, INT)))),
    function("type", type_value, of(type_of(A), A)),
    function("dyn", lambda v: v, of(DYN, A)),
    function("int", to_int, *(of(INT, t) for t in (INT, UINT, DOUBLE, STRING, TIMESTAMP, DURATION))),
    function("uint", to_uint, *(of(UINT, t) for t in (INT, UINT, DOUBLE, STRING))),
    function("double", to_double, *(of(DOUBLE, t) for t in (INT, UINT, DOUBLE, STRING))),
    function("bool", to_bool, of(BOOL, BOOL), of(BOOL, STRING)),
    function("string", to_string, *(of(STRING, t) for t in (*_ORDERED, IP, CIDR))),
    function("bytes", _to_bytes, of(BYTES, BYTES), of(BYTES, STRING)),
    function("timestamp", _to_timestamp, *(of(TIMESTAMP, t) for t in (STRING, INT, TIMESTAMP))),
    function("duration", _to_duration, *(of(DURATION, t) for t in (STRING, INT, DURATION))),
    function("contains", lambda s, t: _text(t) in _text(s), on(STRING, BOOL, STRING),
             cost=lambda a, r: math.ceil(len(a[0]) * 0.1) * math.ceil(len(a[1]) * 0.1)),
    function("startsWith", lambda s, t: _text(s).startswith(_text(t)), on(STRING, BOOL, STRING), cost=walked(0.1, 1)),
    function("endsWith", lambda s, t: _text(s).endswith(_text(t)), on(STRING, BOOL, STRING), cost=walked(0.1, 1)),
    function("matches", _matches, of(BOOL, STRING, STRING), on(STRING, BOOL, STRING), cost=pattern_cost),
    _getter("getFullYear", _part(lambda t: t.year)),
    _getter("getMonth", _part(lambda t: t.month - 1)),
    _getter("getDayOfYear", _part(lambda t: t.timetuple().tm_yday - 1)),
    _getter("getDayOfMonth", _part(lambda t: t.day - 1)),
    _getter("getDate", _part(lambda t: t.day)),
    _getter("getDayOfWeek", _part(lambda t: t.isoweekday() % 7)),
    _getter("getHours", _clock(lambda t: t.hour, 3600 * SECOND), duration=True),
    _getter("getMinutes", _clock(lambda t: t.minute, 60 * SECOND), duration=True),
    _getter("getSeconds", _clock(lambda t: t.second, SECOND), duration=True),
    _getter("getMilliseconds", _clock(lambda t: t.microsecond // 1000, SECOND // 1000, 1000), duration=True),
    function("optional.of", Optional, of(_OPT_A, A)),
    function("optional.none", lambda: NONE, of(_OPT_A)),
    function("optional.ofNonZeroValue", _of_non_zero, of(_OPT_A, A)),
    function("hasValue", lambda o: _optional(o).present, on(_OPT_A, BOOL)),
    function("value", _value, on(_OPT_A, A)),
    function("or", _no, on(_OPT_A, _OPT_A, _OPT_A)),
    function("orValue", _no, on(_OPT_A, A, A)),
    function("cel.@mapInsert", _insert, of(_MAP_AB, _MAP_AB, A, B), of(_MAP_AB, _MAP_AB, _MAP_AB)),
)  # fmt: skip
