"""Defaults of custom resources.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting and
"Defaulting and Nullable" there: a null that is not allowed becomes the default, or goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Schema = Mapping[str, Any]
Change = Callable[[Any], None]
"""Sets the defaults below a value in place."""


def compile_defaults(schema: Schema) -> Change | None:
    """What sets the defaults of objects of the schema and drops their forbidden nulls; None: there is nothing to do.

    Shared default values are copied: the object owns all that is put into it."""
    if schema.get("type") == "array" and isinstance(schema.get("items"), Mapping):
        return _items(schema["items"])
    return _fields(schema)


def _items(schema: Schema) -> Change | None:
    inner = compile_defaults(schema)
    replaced = not schema.get("nullable") and "default" in schema
    if inner is None and not replaced:
        return None

    def change(value: Any) -> None:
        if not isinstance(value, list):
            return
        for i, item in enumerate(value):
            if item is None and replaced:
                value[i] = _copy(schema["default"])
            if inner is not None:
                inner(value[i])

    return change


def _fields(schema: Schema) -> Change | None:
    properties = {n: s for n, s in (schema.get("properties") or {}).items() if isinstance(s, Mapping)}
    below = {name: compile_defaults(s) for name, s in properties.items()}
    defaults = {name: s["default"] for name, s in properties.items() if "default" in s}
    strict = {name for name, s in properties.items() if not s.get("nullable")}
    additional = schema.get("additionalProperties")
    others = _values(additional, properties) if isinstance(additional, Mapping) else None
    if not properties and others is None:
        return None

    def change(value: Any) -> None:
        if not isinstance(value, dict):
            return
        for name, default in defaults.items():
            if name not in value or (value[name] is None and name in strict):
                value[name] = _copy(default)
        for name in [n for n, v in value.items() if v is None and n in strict]:
            del value[name]
        for name, inner in below.items():
            if inner is not None and name in value:
                inner(value[name])
        if others is not None:
            others(value)

    return change


def _values(schema: Schema, properties: Mapping[str, Schema]) -> Change:
    inner = compile_defaults(schema)
    strict = not schema.get("nullable")

    def change(value: dict[str, Any]) -> None:
        for name in [n for n in value if n not in properties]:
            if value[name] is None and strict:
                if "default" not in schema:
                    del value[name]
                    continue
                value[name] = _copy(schema["default"])
            if inner is not None:
                inner(value[name])

    return change


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list) else value
