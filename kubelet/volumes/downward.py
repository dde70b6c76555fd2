"""Volumes of the downward API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.containers.downward import Addresses, DownwardError, field_value, resource_value
from kubelet.volumes.base import Context, Payload, PayloadFile, VolumeError
from kubelet.volumes.payloads import mode_of


class DownwardSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        return downward_files(context, source, mode_of(source))


def downward_files(context: Context, source: Mapping[str, Any], default_mode: int) -> Payload:
    """Raises VolumeError."""
    payload: Payload = {}
    addresses = Addresses("", context.host_ip)
    for item in source.get("items") or ():
        try:
            if ref := item.get("fieldRef"):
                text = field_value(context.pod, ref.get("fieldPath", ""), addresses)
            else:
                text = resource_value(context.pod, {}, item.get("resourceFieldRef") or {}, context.allocatable)
        except DownwardError as err:
            raise VolumeError(str(err)) from err
        mode = item.get("mode")
        payload[item["path"]] = PayloadFile(text.encode(), default_mode if mode is None else mode)
    return payload
