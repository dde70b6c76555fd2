"""Types and values of objects that an OpenAPI schema describes, as rules of custom resources see them.

Source: k8s.io/apiserver/pkg/cel/common (schemas.go, values.go) and pkg/cel/escaping.go.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import CelError
from .parser import RESERVED
from .types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of, object_type
from .values import parse_duration, parse_timestamp

Schema = Mapping[str, Any]
Convert = Callable[[Any], Any]
_SPECIAL = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_INT_OR_STRING = "int-or-string"  # how built-in kinds say it
_FORMATS = {"byte": BYTES, "date": TIMESTAMP, "date-time": TIMESTAMP, "duration": DURATION}
_TEXT: Mapping[str, Schema] = {name: {"type": "string"} for name in ("apiVersion", "kind")}
_METADATA: Schema = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}


def escaped(name: str) -> str | None:
    """A property's name in CEL; None for one that no expression can write."""
    if name in RESERVED:
        return f"__{name}__"
    text = re.sub(r"__|[.\-/]", lambda m: _SPECIAL[m.group()], name)
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) else None


def _properties(schema: Schema, root: bool) -> Mapping[str, Schema]:
    found = schema.get("properties") or {}
    if root or schema.get("x-kubernetes-embedded-resource"):
        return {**found, **_TEXT, "metadata": _METADATA}
    return found


def schema_type(schema: Schema, name: str, *, root: bool = False) -> Type | None:
    """None for a part of unknown shape, which expressions cannot reach."""
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == _INT_OR_STRING:
        return DYN
    match schema.get("type"):
        case "object":
            extra = schema.get("additionalProperties")
            if isinstance(extra, Mapping):
                inner = schema_type(extra, name + ".@values")
                return None if inner is None else map_of(STRING, inner)
            fields: dict[str, Type] = {}
            for key, inner_schema in _properties(schema, root).items():
                cel, found = escaped(key), schema_type(inner_schema, f"{name}.{key}")
                if cel is not None and found is not None:
                    fields[cel] = found
            unknown = schema.get("x-kubernetes-preserve-unknown-fields") and not fields
            return None if unknown else object_type(name, fields)
        case "array":
            item = schema_type(schema.get("items") or {}, name + ".@idx")
            return None if item is None else list_of(item)
        case "string":
            return _FORMATS.get(schema.get("format") or "", STRING)
        case "integer" | "boolean" | "number" as plain:
            return {"integer": INT, "boolean": BOOL, "number": DOUBLE}[plain]
    return None


def converter(schema: Schema, *, root: bool = False) -> Convert | None:
    """From JSON to the values of the type; None where they are the same."""
    if schema.get("x-kubernetes-int-or-string"):
        return None
    match schema.get("type"):
        case "object":
            return _object(schema, root)
        case "array":
            item = converter(schema.get("items") or {})
            return None if item is None else lambda v: [item(x) for x in v] if isinstance(v, list) else v
        case "number":
            return lambda v: float(v) if type(v) is int else v
        case "string":
            return _TEXTS.get(schema.get("format") or "")
    return None


def _object(schema: Schema, root: bool) -> Convert | None:
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        every = converter(extra)
        return None if every is None else lambda v: {k: every(x) for k, x in v.items()} if isinstance(v, dict) else v
    changes: dict[str, tuple[str, Convert]] = {}
    for key, inner in _properties(schema, root).items():
        cel, convert = escaped(key), converter(inner)
        if cel is not None and (convert is not None or cel != key):
            changes[key] = cel, convert or _same
    if not changes:
        return None

    def run(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        found: dict[str, Any] = {}
        for key, one in value.items():
            name, convert = changes.get(key, (key, _same))
            found[name] = None if one is None else convert(one)
        return found

    return run


def _same(value: Any) -> Any:
    return value


def _tolerant(convert: Convert) -> Convert:
    """Values that do not have their format are the schema's business, not the rule's."""

    def run(value: Any) -> Any:
        try:
            return convert(value) if isinstance(value, str) else value
        except (CelError, ValueError, binascii.Error):
            return value

    return run


_TEXTS: Mapping[str, Convert] = {
    "byte": _tolerant(lambda v: base64.b64decode(v, validate=True)),
    "date": _tolerant(lambda v: parse_timestamp(v + "T00:00:00Z")),
    "date-time": _tolerant(parse_timestamp),
    "duration": _tolerant(parse_duration),
}
