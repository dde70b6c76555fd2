"""Shared by the sources that project keys into files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.volumes.base import Context, Payload, PayloadFile, VolumeError
from kubeling.api.meta import Object
from kubeling.api.resource import Resource
from kubeling.api.resources import CONFIG_MAPS, SECRETS

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Keyed:
    """A kind of object whose keys become files: ``values`` are those of one; ``missing`` begins the message about a key
    that is not there."""

    resource: Resource
    values: Callable[[Object], dict[str, bytes]]
    missing: str

    async def files(self, context: Context, source: Mapping[str, Any], name: str, default_mode: int) -> Payload:
        """Raises VolumeError and ObjectUnavailable."""
        found = await context.objects.get(self.resource, context.namespace, name, context.uid)
        if found is None and not source.get("optional"):
            raise VolumeError(f'{self.resource.singular_name} "{name}" not found')
        return keys_to_files(self.values(found or {}), source, default_mode, self.missing)


def _decoded(values: Mapping[str, str] | None) -> dict[str, bytes]:
    return {k: base64.b64decode(v) for k, v in (values or {}).items()}


def _config_map_values(found: Object) -> dict[str, bytes]:
    return {k: v.encode() for k, v in (found.get("data") or {}).items()} | _decoded(found.get("binaryData"))


def _secret_values(found: Object) -> dict[str, bytes]:
    return _decoded(found.get("data"))


CONFIG_MAP = Keyed(CONFIG_MAPS, _config_map_values, "configmap references non-existent config key")
SECRET = Keyed(SECRETS, _secret_values, "references non-existent secret key")


def keys_to_files(values: Mapping[str, bytes], source: Mapping[str, Any], default_mode: int, missing: str) -> Payload:
    """All keys, or those that ``items`` choose under the paths they give. Raises VolumeError."""
    items = source.get("items")
    if not items:
        return {key: PayloadFile(data, default_mode) for key, data in values.items()}
    payload: Payload = {}
    for item in items:
        if item["key"] not in values:
            if source.get("optional"):
                continue
            raise VolumeError(f"{missing}: {item['key']}")
        mode = item.get("mode")
        payload[item["path"]] = PayloadFile(values[item["key"]], default_mode if mode is None else mode)
    return payload


def mode_of(source: Mapping[str, Any]) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)
