"""Field paths and field errors, with the wording of k8s.io/apimachinery/pkg/util/validation/field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_blank = object.__new__


class Path:
    """An immutable path to a field: ``Path("spec").child("containers").index(0)`` prints ``spec.containers[0]``."""

    __slots__ = ("_text",)

    def __init__(self, *names: str) -> None:
        self._text = ".".join(names)

    def child(self, name: str, *more: str) -> Path:
        path = _blank(Path)  # one of the busiest functions of validation: no constructor, no join for one name
        text = self._text
        path._text = f"{text}.{name}" if text else name
        return path.child(*more) if more else path

    def index(self, i: int) -> Path:
        path = _blank(Path)
        path._text = f"{self._text}[{i}]"
        return path

    def key(self, key: str) -> Path:
        path = _blank(Path)
        path._text = f"{self._text}[{key}]"
        return path

    def __str__(self) -> str:
        return self._text or "<nil>"

    def __repr__(self) -> str:
        return f"Path({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field.

    ``reason`` is the cause's reason on the wire (``FieldValueRequired``), ``title`` the words that start the message
    (``Required value``), ``value`` the quoted offending value as printed or None, ``detail`` the rest.
    """

    reason: str
    title: str
    field: str
    value: str | None
    detail: str

    def body(self) -> str:
        """The message without the field path."""
        text = self.title if self.value is None else f"{self.title}: {self.value}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"


ErrorList = list[FieldError]
_QUOTED = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {
    ord(c): f"\\{shown}" for c, shown in zip('\a\b\f\n\r\t\v"\\', 'abfnrtv"\\', strict=True)
}
_HTML = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def quoted(value: Any) -> str:
    """A value as Go prints it in a field error: strings and structures quoted, null as ``null``, numbers bare."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return go_quoted(value)
    return go_json(value)


def go_quoted(text: str) -> str:
    """As Go's ``%q``, which differs from JSON in control characters."""
    return f'"{text.translate(_QUOTED)}"'


def go_json(value: Any, indent: int | None = None) -> str:
    """As Go's ``json.Marshal``, which keeps its output safe inside HTML."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    return text.translate(_HTML)


def required(path: Path, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", "Required value", str(path), None, detail)


def invalid(path: Path, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", "Invalid value", str(path), quoted(value), detail)


def not_supported(path: Path, value: Any, supported: Iterable[str]) -> FieldError:
    """The supported values are listed in the order given; those of a set are sorted."""
    names = sorted(supported) if isinstance(supported, set | frozenset) else list(supported)
    detail = "supported values: " + ", ".join(json.dumps(n) for n in names) if names else ""
    return FieldError("FieldValueNotSupported", "Unsupported value", str(path), quoted(value), detail)


def forbidden(path: Path, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", "Forbidden", str(path), None, detail)


def duplicate(path: Path, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", "Duplicate value", str(path), quoted(value), "")


def not_found(path: Path, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", "Not found", str(path), quoted(value), "")


def too_long(path: Path, max_length: int) -> FieldError:
    """Upstream no longer prints the value."""
    detail = f"may not be more than {max_length} bytes" if max_length >= 0 else "value is too long"
    return FieldError("FieldValueTooLong", "Too long", str(path), None, detail)


def too_many(path: Path, actual: int, max_items: int) -> FieldError:
    noun = "item" if max_items == 1 else "items"
    shown = str(actual) if actual >= 0 else None
    detail = f"must have at most {max_items} {noun}" if max_items >= 0 else "has too many items"
    return FieldError("FieldValueTooMany", "Too many", str(path), shown, detail)


def too_few(path: Path, actual: int, min_items: int) -> FieldError:
    noun = "item" if min_items == 1 else "items"
    return FieldError("FieldValueTooFew", "Too few", str(path), str(actual), f"must have at least {min_items} {noun}")


def type_invalid(path: Path, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueTypeInvalid", "Invalid value", str(path), quoted(value), detail)


def internal(path: Path, detail: str) -> FieldError:
    return FieldError("InternalError", "Internal error", str(path), None, detail)


def collect(*lists: Sequence[FieldError]) -> ErrorList:
    """All errors of several lists in order."""
    return [e for errors in lists for e in errors]
