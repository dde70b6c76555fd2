"""Volumes of Secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.volumes.base import Context, Payload
from kubelet.volumes.payloads import SECRET, mode_of


class SecretSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        return await SECRET.files(context, source, source.get("secretName", ""), mode_of(source))
