"""Field selection, indexing, arithmetic and comparison on values."""

from __future__ import annotations

import math
from typing import Any

from .errors import CelError
from .lazy import Lazy
from .values import (
    MAX_TIME,
    MIN_TIME,
    NO_OVERLOAD,
    NONE,
    Duration,
    Opaque,
    Optional,
    Timestamp,
    UInt,
    checked_int,
    checked_uint,
    equal,
    type_value,
)  # fmt: skip


def no_overload(*_: Any) -> CelError:
    return CelError(NO_OVERLOAD)


def select(value: Any, name: str, test: bool) -> Any:
    if isinstance(value, Optional):
        if test:
            return value.present and bool(select(value.value, name, True))
        return select_optional(value, name)
    if isinstance(value, dict):
        default = getattr(value, "default", None)
        if test:
            return name in value or default is not None
        if name in value:
            return value[name]
        if default is not None:
            return default
        raise CelError(f"no such key: {name}")
    if test and not isinstance(value, Opaque):
        raise CelError(NO_OVERLOAD)
    raise CelError(NO_OVERLOAD)


def _integral(key: Any) -> Any:
    """A number as the key it stands for: 1.0 and 1u find what 1 finds."""
    if isinstance(key, float) and key == math.floor(key):
        return int(key)
    return key


def index(value: Any, key: Any) -> Any:
    if isinstance(value, Optional):
        return optional_index(value, key)
    if isinstance(value, list):
        at = _integral(key)
        if isinstance(at, bool) or not isinstance(at, int):
            raise CelError(f"unsupported index type '{type_value(key)}' in list")
        if not 0 <= at < len(value):
            raise CelError(f"index out of bounds: {at}")
        return value[at]
    if isinstance(value, dict):
        key = _integral(key)
        if not isinstance(key, str | int):
            raise CelError(NO_OVERLOAD)
        if key not in value:
            default = getattr(value, "default", None)
            if default is not None:
                return default
            raise CelError(f"no such key: {_shown(key)}")
        return value[key]
    raise no_overload()


def _shown(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def select_optional(value: Any, name: Any) -> Optional:
    return optional_index(value, name)


def optional_index(value: Any, key: Any) -> Optional:
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    at = _integral(key)
    if isinstance(value, dict):
        if at not in value:
            default = getattr(value, "default", None)
            return NONE if default is None else Optional(default)
        found = value[at]
        return Optional(found.get() if type(found) is Lazy else found)
    if isinstance(value, list):
        if isinstance(at, bool) or not isinstance(at, int):
            raise CelError(f"unsupported index type '{type_value(key)}' in list")
        return Optional(value[at]) if 0 <= at < len(value) else NONE
    raise no_overload()


def unwrapped(value: Any) -> list[Any]:
    """The value of an optional member of a literal, if it has one."""
    if not isinstance(value, Optional):
        raise CelError(f"cannot initialize optional entry from non-optional value {value}")
    return [value.value] if value.present else []


def add(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is tb:
        if ta is int:
            return checked_int(a + b)
        if ta in (str, float, bytes):
            return a + b
        if ta is UInt:
            return checked_uint(int(a) + int(b))
        if ta is Duration:
            return _duration(a.nanos + b.nanos)
    if isinstance(a, list) and isinstance(b, list):
        return a + b
    if {ta, tb} == {Timestamp, Duration}:
        return _timestamp(a.nanos + b.nanos)
    raise no_overload()


def _duration(nanos: int) -> Duration:
    if not -(1 << 63) <= nanos < 1 << 63:
        raise CelError("integer overflow")
    return Duration(nanos)


def _timestamp(nanos: int) -> Timestamp:
    if not MIN_TIME <= nanos <= MAX_TIME:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


def subtract(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is Timestamp:
        return _timestamp(a.nanos - b.nanos) if tb is Duration else _duration(a.nanos - b.nanos)
    if ta is not tb:
        raise no_overload()
    if ta is int:
        return checked_int(a - b)
    if ta is UInt:
        return checked_uint(int(a) - int(b))
    if ta is Duration:
        return _duration(a.nanos - b.nanos)
    if ta is float:
        return a - b
    raise no_overload()


def multiply(a: Any, b: Any) -> Any:
    if type(a) is not type(b):
        raise no_overload()
    if type(a) is int:
        return checked_int(a * b)
    if type(a) is UInt:
        return checked_uint(int(a) * int(b))
    if type(a) is float:
        return a * b
    raise no_overload()


def divide(a: Any, b: Any) -> Any:
    if type(a) is not type(b):
        raise no_overload()
    if type(a) is float:
        if b:
            return a / b
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
    if type(a) not in (int, UInt):
        raise no_overload()
    if b == 0:
        raise CelError("division by zero")
    quotient = abs(int(a)) // abs(int(b))
    return checked_uint(quotient) if type(a) is UInt else checked_int(quotient if (a < 0) == (b < 0) else -quotient)


def modulo(a: Any, b: Any) -> Any:
    if type(a) is not type(b) or type(a) not in (int, UInt):
        raise no_overload()
    if b == 0:
        raise CelError("modulus by zero")
    rest = abs(int(a)) % abs(int(b))
    return UInt(rest) if type(a) is UInt else checked_int(-rest if a < 0 else rest)


def negate(a: Any) -> Any:
    if type(a) is int:
        return checked_int(-a)
    if type(a) is float:
        return -a
    raise no_overload()


def negation(a: Any) -> bool:
    if a is True or a is False:
        return not a
    raise no_overload()


def contained(item: Any, container: Any) -> bool:
    if isinstance(container, dict):
        key = _integral(item)
        return isinstance(key, str | int) and key in container
    if isinstance(container, list):
        return any(equal(item, one) for one in container)
    raise no_overload()


def size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_overload()


def actual_size(value: Any) -> int:
    """What the cost of walking a value is counted by."""
    return len(value) if isinstance(value, str | bytes | list | dict) else 1
