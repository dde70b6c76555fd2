"""Persistent volume claims on hostPath, local and NFS volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.volumes.base import Context, VolumeError
from kubelet.volumes.hostpath import prepare_host_path
from kubelet.volumes.mounts import is_mounted, mount_filesystem, remove_tree
from kubelet.volumes.ownership import set_group
from kubeling.api.meta import Object, name_of, uid_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES


class NfsSource:
    """NFS, by the machine's own client."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        server, path, read_only = source["server"], source["path"], bool(source.get("readOnly"))
        folder = context.folder

        def mount() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            if not is_mounted(folder):
                mount_filesystem(f"{server}:{path}", folder, "nfs", f"addr={server}" + (",ro" if read_only else ""))

        try:
            await asyncio.to_thread(mount)
        except OSError as err:
            raise VolumeError(f"mount failed: {err}") from err
        return VolumePath(str(folder), read_only)

    async def tear_down(self, folder: Path) -> None:
        await asyncio.to_thread(remove_tree, folder)


class ClaimSource:
    """``persistentVolumeClaim``."""

    def __init__(self) -> None:
        self._nfs = NfsSource()

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        return await self.mount_claim(context, source["claimName"], bool(source.get("readOnly")))

    async def tear_down(self, folder: Path) -> None:
        await self._nfs.tear_down(folder)

    async def mount_claim(self, context: Context, name: str, read_only: bool) -> VolumePath:
        """The volume that the claim is bound to. Raises VolumeError."""
        claim = await context.objects.get(PERSISTENT_VOLUME_CLAIMS, context.namespace, name, context.uid)
        if claim is None:
            raise VolumeError(
                f'error processing PVC {context.namespace}/{name}: persistentvolumeclaim "{name}" not found'
            )
        volume = await self._bound_volume(context, claim)
        spec = volume.get("spec") or {}
        if "nfs" in spec:
            return await self._nfs.set_up(context, spec["nfs"] | {"readOnly": read_only or spec["nfs"].get("readOnly")})
        if "hostPath" in spec:
            path, kind = Path(spec["hostPath"]["path"]), spec["hostPath"].get("type") or ""
        elif "local" in spec:
            path, kind = Path(spec["local"]["path"]), ""
            if not path.exists():
                raise VolumeError(f'path "{path}" does not exist')
        else:
            kinds = [k for k in spec if isinstance(spec[k], dict) and k not in ("capacity", "claimRef", "nodeAffinity")]
            raise VolumeError(f"no volume plugin matched: {', '.join(kinds) or 'no source'}")
        await asyncio.to_thread(_prepare, path, kind, context, spec)
        return VolumePath(str(path), read_only)

    async def _bound_volume(self, context: Context, claim: Object) -> Object:
        phase = (claim.get("status") or {}).get("phase")
        name = (claim.get("spec") or {}).get("volumeName")
        if phase != "Bound" or not name:
            raise VolumeError(f"PVC {context.namespace}/{name_of(claim)} is not bound")
        volume = await context.objects.get(PERSISTENT_VOLUMES, "", name, context.uid)
        if volume is None:
            raise VolumeError(f'failed to fetch PV {name} from API server: persistentvolume "{name}" not found')
        if ((volume.get("spec") or {}).get("claimRef") or {}).get("uid") != uid_of(claim):
            raise VolumeError(f"failed to fetch PV {name}: it is not bound to the claim {name_of(claim)}")
        return volume


class EphemeralSource(ClaimSource):
    """``ephemeral``: a claim made for the pod by its controller."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        name = f"{podspec.ref_of(context.pod).name}-{context.volume['name']}"
        return await self.mount_claim(context, name, False)


def _prepare(path: Path, kind: str, context: Context, spec: Mapping[str, Any]) -> None:
    try:
        if "hostPath" in spec:
            prepare_host_path(path, kind)
        elif context.fs_group is not None:
            policy = (podspec.spec_of(context.pod).get("securityContext") or {}).get("fsGroupChangePolicy")
            set_group(path, context.fs_group, on_root_mismatch=policy == "OnRootMismatch")
    except OSError as err:
        raise VolumeError(str(err)) from err
