"""ConfigMap: text and binary data, optionally immutable."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import CONFIG_MAPS

MAX_SECRET_SIZE = 1024 * 1024
"""Bytes of all values together (1 MiB), the same for config maps and secrets."""


def decoded_length(text: str) -> int:
    """The length in bytes of a base64 text's content."""
    return len(text) // 4 * 3 - text.count("=")


class ConfigMapStrategy(Strategy):
    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors: ErrorList = []
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        total = 0
        for key, value in sorted(data.items()):
            at = Path("data").key(key)
            errors += [fields.invalid(at, key, m) for m in names.is_config_map_key(key)]
            if key in binary:
                errors.append(fields.invalid(at, key, "duplicate of key present in binaryData"))
            total += len(value.encode())
        for key, value in sorted(binary.items()):
            errors += [fields.invalid(Path("binaryData").key(key), key, m) for m in names.is_config_map_key(key)]
            total += decoded_length(value)
        if total > MAX_SECRET_SIZE:
            errors.append(fields.too_long(Path("[]"), MAX_SECRET_SIZE))  # so upstream prints an empty path
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return immutable_errors(obj, old, "data", "binaryData") + self.validate(ctx, obj)


def immutable_errors(obj: Object, old: Object, *names: str) -> ErrorList:
    """What an immutable config map or secret may not change: the mark itself and its data."""
    if not old.get("immutable"):
        return []
    errors: ErrorList = []
    if not obj.get("immutable"):
        errors.append(fields.forbidden(Path("immutable"), "field is immutable when `immutable` is set"))
    for name in names:
        if (obj.get(name) or {}) != (old.get(name) or {}):
            errors.append(fields.forbidden(Path(name), "field is immutable when `immutable` is set"))
    return errors


def _row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age_of(obj, now)]


CONFIG_MAP = Kind(
    CONFIG_MAPS, ConfigMapStrategy(), Printer((NAME, column("Data", "core.v1.ConfigMap:data"), AGE), _row)
)
