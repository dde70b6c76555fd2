"""Projected volumes: several sources in one folder, service account tokens among them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.volumes.base import Context, Payload, PayloadFile, VolumeError
from kubelet.volumes.downward import downward_files
from kubelet.volumes.payloads import config_map_values, keys_to_files, mode_of, named_object, secret_values
from kubeling.api.resources import CONFIG_MAPS, SECRETS

_TOKEN_SECONDS = 3600


class ProjectedSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        payload: Payload = {}
        mode = mode_of(source)
        for entry in source.get("sources") or ():
            for kind, part in entry.items():
                projection = _PROJECTIONS.get(kind)
                if projection is None:
                    raise VolumeError(f"projected volume source {kind} is not supported")
                payload |= await projection(context, part, mode)
        return payload


async def _config_map(context: Context, source: Mapping[str, Any], mode: int) -> Payload:
    found = await named_object(context, CONFIG_MAPS, source, source.get("name", ""))
    return keys_to_files(config_map_values(found), source, mode, "configmap")


async def _secret(context: Context, source: Mapping[str, Any], mode: int) -> Payload:
    found = await named_object(context, SECRETS, source, source.get("name", ""))
    return keys_to_files(secret_values(found), source, mode, "secret")


async def _downward(context: Context, source: Mapping[str, Any], mode: int) -> Payload:
    return downward_files(context, source, mode)


async def _token(context: Context, source: Mapping[str, Any], mode: int) -> Payload:
    token = await context.tokens.token(
        context.namespace,
        podspec.spec_of(context.pod).get("serviceAccountName") or "default",
        audience=source.get("audience") or "",
        seconds=source.get("expirationSeconds") or _TOKEN_SECONDS,
        pod=context.pod,
    )
    user = _single_user(context)
    private = user is not None or context.fs_group is not None
    return {source["path"]: PayloadFile(token.encode(), 0o600 if private else mode, user)}


def _single_user(context: Context) -> int | None:
    """The one user that all containers run as, who then owns the token; None with an fsGroup or where they differ."""
    if context.fs_group is not None:
        return None
    default = (podspec.spec_of(context.pod).get("securityContext") or {}).get("runAsUser")
    users = {
        default if (own := (c.get("securityContext") or {}).get("runAsUser")) is None else own
        for c in podspec.all_containers(context.pod)
    }
    return users.pop() if len(users) == 1 else None


_PROJECTIONS: Mapping[str, Callable[[Context, Mapping[str, Any], int], Awaitable[Payload]]] = {
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
}
