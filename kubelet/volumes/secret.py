"""Volumes of Secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.volumes.base import Context, Payload
from kubelet.volumes.payloads import keys_to_files, mode_of, named_object, secret_values
from kubeling.api.resources import SECRETS


class SecretSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        found = await named_object(context, SECRETS, source, source.get("secretName", ""))
        return keys_to_files(secret_values(found), source, mode_of(source), "secret")
