"""What becomes of a volume whose claim is gone: kept, deleted with its data, or left to whoever provisioned it."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from controllers.lib.collection import Collection
from controllers.volumes import matching
from controllers.volumes.plan import reclaim_policy
from kubeling.api.meta import Object, annotations_of, is_deleting, name_of
from kubeling.client.events import EventRecorder

_DELETABLE_PATHS = re.compile(r"/tmp/.+")
_KNOWN_SOURCES = {"csi", "fc", "iscsi", "local", "nfs"}


class CannotReclaim(Exception):
    """The volume cannot be deleted; the message is for its status and its event."""


def is_external(volume: Object) -> bool:
    """Whether somebody else made the volume and deletes it."""
    provisioner = annotations_of(volume).get(matching.PROVISIONED_BY) or ""
    return bool(provisioner) and not provisioner.startswith("kubernetes.io/")


def folder_of(volume: Object) -> Path:
    """The folder to remove with a volume that nobody provisioned. Raises CannotReclaim."""
    source = volume["spec"].get("hostPath")
    if source is None:
        known = _KNOWN_SOURCES & volume["spec"].keys()
        text = "no deletable volume plugin matched" if known else "no volume plugin matched"
        raise CannotReclaim(f'error getting deleter volume plugin for volume "{name_of(volume)}": {text}')
    if not _DELETABLE_PATHS.match(source["path"]):
        raise CannotReclaim(f"host_path deleter only supports /tmp/.+ but received provided {source['path']}")
    return Path(source["path"])


class Reclaimer:
    """Carries out the reclaim policy of released volumes."""

    def __init__(self, volumes: Collection, recorder: EventRecorder) -> None:
        self._volumes = volumes
        self._recorder = recorder

    async def reclaim(self, volume: Object) -> bool:
        """False when it has to be tried again."""
        match reclaim_policy(volume):
            case "Delete" if not is_external(volume):
                return await self._delete(volume)
            case "Recycle":
                await self._fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
                return False
        return True

    async def _delete(self, volume: Object) -> bool:
        try:
            await asyncio.to_thread(_remove, folder_of(volume))
        except (CannotReclaim, OSError) as err:
            await self._fail(volume, "VolumeFailedDelete", str(err))
            return False
        if not is_deleting(volume):
            await self._volumes.delete(volume)
        return True

    async def _fail(self, volume: Object, reason: str, text: str) -> None:
        """Told once, when the phase changes."""
        if (volume.get("status") or {}).get("phase") != "Failed":
            volume = await set_phase(self._volumes, volume, "Failed", message=text)
            self._recorder.event(volume, "Warning", reason, text)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


async def set_phase(volumes: Collection, volume: Object, phase: str, *, message: str = "") -> Object:
    """Writes the phase where it is another."""
    status = volume.get("status") or {}
    if status.get("phase") == phase:
        return volume
    wanted = {k: v for k, v in status.items() if k != "message"} | {"phase": phase}
    if message:
        wanted["message"] = message
    return await volumes.update_status({**volume, "status": wanted})
