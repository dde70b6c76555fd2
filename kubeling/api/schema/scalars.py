"""Single JSON values as Go's decoder takes them, and the texts with which it refuses them.

``convert`` gives the value as Go would write it back. Sources of the texts: encoding/json, encoding/base64, time,
k8s.io/apimachinery (``resource.Quantity``, ``metav1.Time``, ``intstr.IntOrString``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from kubeling.api import quantity
from kubeling.api.meta import rfc3339, rfc3339_micro
from kubeling.api.schema.model import Shape, Type


class WrongType(Exception):
    """A JSON value of the wrong type; Go notes the first one and goes on. ``value`` is ``string``, ``number 1.5``..."""

    def __init__(self, value: str, go_type: str) -> None:
        super().__init__(value, go_type)
        self.value = value
        self.go_type = go_type


class BadValue(Exception):
    """A value that its own decoder refuses. ``abort``: decoding ends at once, and this error wins over earlier ones."""

    def __init__(self, text: str, *, abort: bool = True) -> None:
        super().__init__(text)
        self.text = text
        self.abort = abort


def json_kind(value: Any) -> str:
    """What Go calls a JSON value: ``string``, ``number``, ``bool``, ``array``, ``object`` or ``null``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"


def _string(value: Any, made: Type) -> str:
    if isinstance(value, str):
        return value
    raise WrongType(json_kind(value), made.go)


def _boolean(value: Any, made: Type) -> bool:
    if isinstance(value, bool):
        return value
    raise WrongType(json_kind(value), made.go)


def _integer(value: Any, made: Type) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(json_kind(value), made.go)
    limit = 1 << (made.bits - 1)
    if isinstance(value, float) or not -limit <= value < limit:
        raise WrongType(f"number {number_text(value)}", made.go)
    return value


def number_text(value: float) -> str:
    """A JSON number as it stood in the text, as far as parsing kept it."""
    return repr(value).replace("e+", "e")


def _number(value: Any, made: Type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(json_kind(value), made.go)
    return value


def _int_or_string(value: Any, made: Type) -> int | str:
    return value if isinstance(value, str) else _integer(value, _INT32)


_INT32 = Type(Shape.INTEGER, go="int32", bits=32)
_STRING = Type(Shape.STRING, go="string")


def _quantity(value: Any, made: Type) -> str:
    try:
        return quantity.canonical(value.strip() if isinstance(value, str) else value)
    except quantity.QuantityError as error:
        raise BadValue(str(error)) from None


def _bytes(value: Any, made: Type) -> str:
    if isinstance(value, list):
        try:
            return base64.b64encode(bytes(value)).decode()
        except (TypeError, ValueError):
            raise WrongType("number", "uint8") from None
    if not isinstance(value, str):
        raise WrongType(json_kind(value), made.go)
    text = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = None
    if decoded is None or len(text) % 4:
        raise BadValue(f"illegal base64 data at input byte {_corrupt_at(value)}", abort=False)
    return base64.b64encode(decoded).decode()


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _corrupt_at(text: str) -> int:
    """Where Go's decoder gives up: the offending byte, or the start of an incomplete group of four."""
    group: list[int] = []
    for at, char in enumerate(text):
        if char in "\r\n":
            continue
        if char in _ALPHABET:
            group = [*group, at] if len(group) < 4 else [at]
            continue
        filled = len(group) % 4
        if char != "=" or filled < 2:
            return at
        rest = [i for i in range(at + 1, len(text)) if text[i] not in "\r\n"]
        if filled == 2:
            if not rest:
                return len(text)
            if text[rest[0]] != "=":
                return rest[0] - 1
            rest = rest[1:]
        return rest[0] if rest else at
    return len(text) - len(group)


_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
# Elements of the layout: what the text must match, what the layout calls it, lowest and highest value, its name.
_ELEMENTS = (
    (re.compile(r"\d{4}"), "2006", 0, 9999, "year"),
    (re.compile("-"), "-", 0, 0, ""),
    (re.compile(r"\d\d"), "01", 1, 12, "month"),
    (re.compile("-"), "-", 0, 0, ""),
    (re.compile(r"\d\d"), "02", 1, 31, "day"),
    (re.compile("T"), "T", 0, 0, ""),
    (re.compile(r"\d\d"), "15", 0, 23, "hour"),
    (re.compile(":"), ":", 0, 0, ""),
    (re.compile(r"\d\d"), "04", 0, 59, "minute"),
    (re.compile(":"), ":", 0, 0, ""),
    (re.compile(r"\d\d"), "05", 0, 59, "second"),
)
_FRACTION = re.compile(r"[.,](\d+)")
_MICROS = re.compile(r"[.,](\d{6})")
_ZONE = re.compile(r"Z|([+-])(\d\d):(\d\d)")


def _parse_time(text: str, layout: str) -> datetime:
    """RFC 3339 as Go's ``time.Parse`` reads it. Raises BadValue with Go's text."""
    numbers: list[int] = []
    at, out_of_range = 0, ""
    for pattern, element, low, high, name in _ELEMENTS:
        match = pattern.match(text, at)
        if match is None:
            raise _unparsable(text, layout, text[at:], element)
        if name:
            numbers.append(int(match.group()))
            if not low <= numbers[-1] <= high:
                raise BadValue(f'parsing time "{text}": {name} out of range')
        at = match.end()
    micros, at = _fraction(text, at, layout)
    zone = _ZONE.match(text, at)
    if zone is None:
        raise _unparsable(text, layout, text[at:], "Z07:00")
    if zone.end() < len(text):
        raise BadValue(f'parsing time "{text}": extra text: "{text[zone.end() :]}"')
    offset = timedelta()
    if zone.group(1):
        offset = timedelta(hours=int(zone.group(2)), minutes=int(zone.group(3))) * (-1 if zone.group(1) == "-" else 1)
    try:
        year, month, day, hour, minute, second = numbers
        moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=timezone(offset))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadValue(f'parsing time "{text}": day out of range{out_of_range}') from None


def _fraction(text: str, at: int, layout: str) -> tuple[int, int]:
    if layout == _MICRO_LAYOUT:
        exact = _MICROS.match(text, at)
        if exact is None:
            raise _unparsable(text, layout, text[at:], ".000000")
        return int(exact.group(1)), exact.end()
    loose = _FRACTION.match(text, at)
    return (int(loose.group(1)[:6].ljust(6, "0")), loose.end()) if loose else (0, at)


def _unparsable(text: str, layout: str, rest: str, element: str) -> BadValue:
    return BadValue(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"')


_CANONICAL_TIME = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ")


def _time(value: Any, made: Type) -> str:
    text = _string(value, _STRING)
    if _CANONICAL_TIME.fullmatch(text):
        return text
    return rfc3339(_parse_time(text, _LAYOUT))


def _micro_time(value: Any, made: Type) -> str:
    return rfc3339_micro(_parse_time(_string(value, _STRING), _MICRO_LAYOUT))


def _any(value: Any, made: Type) -> Any:
    return value


CONVERT: dict[Shape, Callable[[Any, Type], Any]] = {
    Shape.STRING: _string,
    Shape.BOOLEAN: _boolean,
    Shape.INTEGER: _integer,
    Shape.NUMBER: _number,
    Shape.BYTES: _bytes,
    Shape.QUANTITY: _quantity,
    Shape.TIME: _time,
    Shape.MICRO_TIME: _micro_time,
    Shape.INT_OR_STRING: _int_or_string,
    Shape.ANY: _any,
}
"""Converters by shape; they raise WrongType or BadValue."""

ZERO: dict[Shape, Any] = {
    Shape.STRING: "",
    Shape.BOOLEAN: False,
    Shape.INTEGER: 0,
    Shape.NUMBER: 0,
    Shape.QUANTITY: "0",
    Shape.INT_OR_STRING: 0,
}
"""Zero values by shape, as written; structs are built, the others are null."""
