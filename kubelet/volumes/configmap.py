"""Volumes of ConfigMaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.volumes.base import Context, Payload
from kubelet.volumes.payloads import CONFIG_MAP, mode_of


class ConfigMapSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        return await CONFIG_MAP.files(context, source, source.get("name", ""), mode_of(source))
