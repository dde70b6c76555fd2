"""Volumes of ConfigMaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.volumes.base import Context, Payload
from kubelet.volumes.payloads import config_map_values, keys_to_files, mode_of, named_object
from kubeling.api.resources import CONFIG_MAPS


class ConfigMapSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        found = await named_object(context, CONFIG_MAPS, source, source.get("name", ""))
        return keys_to_files(config_map_values(found), source, mode_of(source), "configmap")
