"""Persistent volume claims on hostPath, local and NFS volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelet.containers.build import VolumePath
from kubelet.pods import spec as podspec
from kubelet.volumes.base import Context, UnprocessedVolume, VolumeError
from kubelet.volumes.hostpath import prepare_host_path
from kubelet.volumes.mounts import is_mounted, mount_filesystem, remove_tree
from kubelet.volumes.ownership import set_group
from kubelet.volumes.unsupported import refusal
from kubeling.api.meta import Object, name_of, uid_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES

_NOT_SOURCES = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


class NfsSource:
    """NFS, by the machine's own client."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        server, path, read_only = source["server"], source["path"], bool(source.get("readOnly"))
        folder = context.folder
        options = ",".join([f"addr={server}", *(source.get("options") or ()), *(["ro"] if read_only else [])])

        def mount() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            if not is_mounted(folder):
                mount_filesystem(f"{server}:{path}", folder, "nfs", options)

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
            raise _unprocessed(
                context, name, f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
            )
        volume = await self._bound_volume(context, claim)
        spec = volume.get("spec") or {}
        block = _mode_of(context, volume)
        options = spec.get("mountOptions") or []
        if "nfs" in spec:
            source = spec["nfs"] | {"readOnly": read_only or spec["nfs"].get("readOnly"), "options": options}
            return await self._nfs.set_up(context, source)
        if options and ("hostPath" in spec or "local" in spec):
            raise VolumeError("Mount options are not supported for this volume type")
        if "hostPath" in spec:
            path, kind = Path(spec["hostPath"]["path"]), spec["hostPath"].get("type") or ""
        elif "local" in spec:
            path, kind = Path(spec["local"]["path"]), ""
            if not path.exists():
                raise VolumeError(f'path "{path}" does not exist')
        else:
            kind, found = next(((k, v) for k, v in spec.items() if k not in _NOT_SOURCES), ("", {}))
            raise refusal(kind, found, name_of(volume))
        if block:
            if "hostPath" in spec or not path.is_block_device():
                raise VolumeError(f"MapVolume.MapPodDevice failed: {path} cannot be used as a block device")
            return VolumePath(str(path), read_only, block=True)
        await asyncio.to_thread(_prepare, path, kind, context, spec)
        return VolumePath(str(path), read_only)

    async def _bound_volume(self, context: Context, claim: Object) -> Object:
        phase = (claim.get("status") or {}).get("phase")
        name = (claim.get("spec") or {}).get("volumeName")
        if phase != "Bound" or not name:
            raise _unprocessed(context, name_of(claim), "PVC is not bound")
        volume = await context.objects.get(PERSISTENT_VOLUMES, "", name, context.uid)
        if volume is None:
            raise _unprocessed(
                context,
                name_of(claim),
                f'failed to fetch PV {name} from API server: persistentvolumes "{name}" not found',
            )
        if ((volume.get("spec") or {}).get("claimRef") or {}).get("uid") != uid_of(claim):
            raise _unprocessed(context, name_of(claim), f"PV {name} is not bound to the claim")
        return volume


class EphemeralSource(ClaimSource):
    """``ephemeral``: a claim made for the pod by its controller."""

    async def set_up(self, context: Context, source: Mapping[str, Any]) -> VolumePath:
        name = f"{podspec.ref_of(context.pod).name}-{context.volume['name']}"
        return await self.mount_claim(context, name, False)


def _mode_of(context: Context, volume: Object) -> bool:
    """Whether the volume is a block device; it has to be used as what it is. Raises UnprocessedVolume."""
    block = (volume.get("spec") or {}).get("volumeMode") == "Block"
    wrong = "volumeMounts" if block else "volumeDevices"
    name = context.volume["name"]
    used = any(m["name"] == name for c in podspec.all_containers(context.pod) for m in c.get(wrong) or ())
    if used:
        mode = "Block" if block else "Filesystem"
        raise UnprocessedVolume(f"volume {name} has volumeMode {mode}, but is specified in {wrong}")
    return block


def _unprocessed(context: Context, claim: str, why: str) -> UnprocessedVolume:
    return UnprocessedVolume(f"error processing PVC {context.namespace}/{claim}: {why}")


def _prepare(path: Path, kind: str, context: Context, spec: Mapping[str, Any]) -> None:
    try:
        if "hostPath" in spec:
            prepare_host_path(path, kind)
        elif context.fs_group is not None:
            policy = (podspec.spec_of(context.pod).get("securityContext") or {}).get("fsGroupChangePolicy")
            set_group(path, context.fs_group, on_root_mismatch=policy == "OnRootMismatch")
    except OSError as err:
        raise VolumeError(str(err)) from err
