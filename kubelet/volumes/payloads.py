"""Shared by the sources that project keys into files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from kubelet.volumes.base import Context, Payload, PayloadFile, VolumeError
from kubeling.api.meta import Object
from kubeling.api.resource import Resource

DEFAULT_MODE = 0o644


def keys_to_files(values: Mapping[str, bytes], source: Mapping[str, Any], default_mode: int, what: str) -> Payload:
    """All keys, or those that ``items`` choose under the paths they give. Raises VolumeError."""
    items = source.get("items")
    if not items:
        return {key: PayloadFile(data, default_mode) for key, data in values.items()}
    payload: Payload = {}
    for item in items:
        if item["key"] not in values:
            if source.get("optional"):
                continue
            raise VolumeError(f"{what} references non-existent {what.split()[0]} key: {item['key']}")
        mode = item.get("mode")
        payload[item["path"]] = PayloadFile(values[item["key"]], default_mode if mode is None else mode)
    return payload


def mode_of(source: Mapping[str, Any]) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


async def named_object(context: Context, resource: Resource, source: Mapping[str, Any], name: str) -> Object | None:
    """The object; None when it is not there and optional. Raises VolumeError."""
    found = await context.objects.get(resource, context.namespace, name, context.uid)
    if found is None and not source.get("optional"):
        raise VolumeError(f'{resource.singular_name} "{name}" not found')
    return found


def config_map_values(found: Object | None) -> dict[str, bytes]:
    found = found or {}
    text = {k: v.encode() for k, v in (found.get("data") or {}).items()}
    return text | {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}


def secret_values(found: Object | None) -> dict[str, bytes]:
    return {k: base64.b64decode(v) for k, v in ((found or {}).get("data") or {}).items()}
