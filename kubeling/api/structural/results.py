"""What checks of values against schemas give, and the texts they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeling.api import fields
from kubeling.api.fields import ErrorList, FieldError, Path

Schema = Mapping[str, Any]


@dataclass(slots=True)
class Result:
    """Errors, and how many checks were made: of alternatives that all fail, the one that got furthest is reported."""

    errors: ErrorList = field(default_factory=list)
    checks: int = 0

    def merge(self, other: Result) -> None:
        self.errors += other.errors
        self.checks += other.checks


Check = Callable[[Any, str], Result]
"""Value and path (``spec.ports[0]``) to what is wrong."""
Part = Callable[[Any, str], Result | None]
"""One kind of check; None: it does not apply to such a value."""


def kind_of(value: Any) -> str:
    """The JSON type's name as errors show it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def failed(error: FieldError) -> Result:
    return Result([error])


def path_of(path: str) -> Path:
    return Path(path) if path else Path()


def plain(message: str) -> FieldError:
    """An error that names no field."""
    return fields.invalid(Path(), "", message)


def said(path: str, text: str) -> str:
    return f"{path} in body {text}"


def go_float(value: float) -> str:
    """A bound as Go's ``%v`` prints a float64."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(float(value))
