"""Lists that are sets or maps: no member twice. Source: ``x-kubernetes-list-type`` of custom resource definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path

Schema = Mapping[str, Any]
Check = Callable[[Any, Path], ErrorList]


def compile_lists(schema: Schema) -> Check | None:
    """What finds repeated members anywhere below; None: the schema has no such list."""
    own = _members(schema)
    item = compile_lists(schema["items"]) if isinstance(schema.get("items"), Mapping) else None
    below = {n: c for n, s in sorted((schema.get("properties") or {}).items()) if (c := compile_lists(s))}
    additional = schema.get("additionalProperties")
    other = compile_lists(additional) if isinstance(additional, Mapping) else None
    if own is None and item is None and not below and other is None:
        return None

    def check(value: Any, path: Path) -> ErrorList:
        found: ErrorList = []
        if isinstance(value, list):
            found += own(value, path) if own else []
            for i, inner in enumerate(value if item else ()):
                found += item(inner, path.index(i)) if item else []
        elif isinstance(value, dict):
            for name, inner_check in below.items():
                found += inner_check(value[name], path.child(name)) if name in value else []
            for name in sorted(value.keys() - below.keys()) if other else ():
                found += other(value[name], path.key(name)) if other else []
        return found

    return check


def _members(schema: Schema) -> Check | None:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return None
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def identity(item: Any) -> Any:
        if kind == "set":
            return item
        return {k: item[k] for k in keys if k in item} if isinstance(item, dict) else item

    def check(value: list[Any], path: Path) -> ErrorList:
        seen: dict[bytes, int] = {}
        found: ErrorList = []
        for i, item in enumerate(value):
            member = identity(item)
            key = orjson.dumps(member, option=orjson.OPT_SORT_KEYS)
            seen[key] = seen.get(key, 0) + 1
            if seen[key] == 2:  # upstream names each repeated member once
                found.append(fields.duplicate(path.index(i), member))
        return found

    return check
