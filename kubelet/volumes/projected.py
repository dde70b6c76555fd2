"""Projected volumes: several sources in one folder, service account tokens among them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.volumes.base import Context, ObjectUnavailable, Payload, PayloadFile, VolumeError
from kubelet.volumes.downward import downward_files
from kubelet.volumes.payloads import CONFIG_MAP, SECRET, mode_of
from kubeling.api.meta import Object

_TOKEN_SECONDS = 3600
_PRIVATE = 0o600  # with an fsGroup, its members may read, too: the atomic writer sees to that


class ProjectedSource:
    async def payload(self, context: Context, source: Mapping[str, Any]) -> Payload:
        """All that is wrong is told together."""
        payload: Payload = {}
        errors: list[str] = []
        mode = mode_of(source)
        for kind, part in ((k, p) for entry in source.get("sources") or () for k, p in entry.items()):
            projection = _PROJECTIONS.get(kind)
            try:
                if projection is None:
                    raise VolumeError(f"projected volume source {kind} is not supported")
                payload |= await projection(context, part, mode)
            except (VolumeError, ObjectUnavailable) as err:
                errors.append(str(err))
        if errors:
            distinct = list(dict.fromkeys(errors))
            raise VolumeError(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
        return payload


async def _config_map(context: Context, source: Mapping[str, Any], mode: int) -> Payload:
    return await CONFIG_MAP.files(context, source, source.get("name", ""), mode)


async def _secret(context: Context, source: Mapping[str, Any], mode: int) -> Payload:
    return await SECRET.files(context, source, source.get("name", ""), mode)


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
    user = single_user(context.pod)
    private = user is not None or context.fs_group is not None
    return {source["path"]: PayloadFile(token.encode(), _PRIVATE if private else mode, user)}


def single_user(pod: Object) -> int | None:
    """The one user that all containers run as, who then owns the token; None where one names none, or they differ."""
    default = (podspec.spec_of(pod).get("securityContext") or {}).get("runAsUser")
    users = {
        default if (own := (c.get("securityContext") or {}).get("runAsUser")) is None else own
        for c in podspec.all_containers(pod)
    }
    return users.pop() if len(users) == 1 else None


_PROJECTIONS: Mapping[str, Callable[[Context, Mapping[str, Any], int], Awaitable[Payload]]] = {
    "configMap": _config_map,
    "secret": _secret,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
}
