"""Table columns of custom resources, from ``additionalPrinterColumns``.

Model: k8s.io/apiextensions-apiserver pkg/registry/customresource/tableconvertor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.printing import NAME, column
from apiserver.registry.kind import Column, Printer
from kubeling.api import duration
from kubeling.api.fields import go_json
from kubeling.api.jsonpath import JSONPath, parse
from kubeling.api.meta import Object, name_of, parse_time

_AGE = column("Age", "v1.ObjectMeta:creationTimestamp", "date")
_DEFAULT = ((_AGE, parse(".metadata.creationTimestamp")),)


def custom_printer(columns: Iterable[Mapping[str, Any]]) -> Printer:
    """The printer of a version; without columns of its own it shows name and age."""
    chosen = tuple((_column(c), parse(c["jsonPath"])) for c in columns) or _DEFAULT

    def row(obj: Object, now: datetime) -> list[Any]:
        return [name_of(obj), *(_cell(c.type, path, obj, now) for c, path in chosen)]

    return Printer((NAME, *(c for c, _ in chosen)), row)


def _column(declared: Mapping[str, Any]) -> Column:
    description = declared.get("description")
    if not description:
        description = f"Custom resource definition column (in JSONPath format): {declared['jsonPath']}"
    format_, priority = declared.get("format") or "", declared.get("priority") or 0
    return Column(declared["name"], declared["type"], format_, description, priority)


def _cell(type_: str, path: JSONPath, obj: Object, now: datetime) -> Any:
    """Null for what is missing or of another type than the column's."""
    found = path.find(obj)
    value = found[0] if found else None
    match type_, value:
        case _, None:
            return None
        case "string", _:
            return text_of(value)
        case "date", str():
            return _age(value, now)
        case "boolean", bool():
            return value
        case "integer", (int() | float()) if not isinstance(value, bool):
            return int(value)
        case "number", (int() | float()) if not isinstance(value, bool):
            return value
    return None


def text_of(value: Any) -> str:
    """A value as columns and field selectors show it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else go_json(value)


def _age(text: str, now: datetime) -> str:
    try:
        parse_time(text)
    except ValueError:
        return "<invalid>"
    return duration.age(text, now)
