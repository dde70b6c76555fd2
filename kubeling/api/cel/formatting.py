"""``string.format``: verbs as the strings extension has them, and ``strings.quote``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from .errors import CelError
from .types import Type
from .values import Duration, Timestamp, format_double, format_duration, format_timestamp, is_number, type_value

_VERB = re.compile(r"%(?:(%)|(?:\.(\d+))?([a-zA-Z]))?")
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quote(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'


def format_string(pattern: str, args: list[Any]) -> str:
    """Raises CelError for an unknown verb, a missing argument, or one of the wrong type."""
    given = iter(args)
    at = 0

    def one(found: re.Match[str]) -> str:
        nonlocal at
        if found[1]:
            return "%"
        if not found[3]:
            raise CelError("unexpected end of string")
        try:
            value = next(given)
        except StopIteration:
            raise CelError(f"index {at} out of range") from None
        at += 1
        return _verb(found[3], int(found[2]) if found[2] is not None else 6, value)

    return _VERB.sub(one, pattern)


def _verb(verb: str, precision: int, value: Any) -> str:
    whole = isinstance(value, int)
    match verb:
        case "s":
            return _text(value)
        case "d" if whole and not isinstance(value, bool):
            return str(int(value))
        case "f" if is_number(value):
            return f"{value:.{precision}f}"
        case "e" if is_number(value):
            return f"{value:.{precision}e}"
        case "b" if whole:
            return f"{int(value):b}"
        case "o" if whole and not isinstance(value, bool):
            return f"{value:o}"
        case "x" | "X" if isinstance(value, str | bytes) or (whole and not isinstance(value, bool)):
            text = (
                f"{value:x}" if isinstance(value, int) else (value.encode() if isinstance(value, str) else value).hex()
            )
            return text.upper() if verb == "X" else text
        case "d" | "f" | "e" | "b" | "o" | "x" | "X":
            raise CelError(f"error during formatting: %{verb} clause cannot format a value of type {_type(value)}")
    raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _type(value: Any) -> str:
    return type_value(value).kind


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return format_double(value) if value == value and abs(value) < 1e21 else str(Decimal(value))
        case bytes():
            return value.decode(errors="replace")
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
        case list():
            return "[" + ", ".join(_text(v) for v in value) + "]"
        case dict():
            return "{" + ", ".join(f"{k}: {v}" for k, v in sorted((_text(k), _text(v)) for k, v in value.items())) + "}"
        case Type():
            return str(value)
    raise CelError(f"error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, "
                   f"lists, types, durations, and timestamps, was given {_type(value)}")  # fmt: skip
