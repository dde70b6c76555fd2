"""Expansion: claims of local volumes grow as soon as more is asked for; a folder has no size to change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.volumes import matching
from controllers.volumes.provisioner import NAME
from kubeling.api.meta import Key, Object, annotations_of, key_of
from kubeling.api.quantity import canonical, parse
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubeling.client.events import EventRecorder

COMPONENT = "volume_expand"


def wants_more(claim: Object) -> bool:
    """True for a bound claim that asks for more than it has."""
    status = claim.get("status") or {}
    has = (status.get("capacity") or {}).get("storage")
    return status.get("phase") == "Bound" and has is not None and matching.requested(claim).value > parse(has).value


class ExpansionReconciler:
    """The volume first, then the claim's status."""

    def __init__(self, claims: Collection, volumes: Collection, recorder: EventRecorder) -> None:
        self._claims = claims
        self._volumes = volumes
        self._recorder = recorder

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None or not wants_more(claim):
            return
        volume = self._volumes.get(Key("", claim["spec"].get("volumeName") or ""))
        if volume is None or annotations_of(volume).get(matching.PROVISIONED_BY) != NAME:
            return
        size = canonical(claim["spec"]["resources"]["requests"]["storage"])
        if matching.capacity(volume).value < parse(size).value:
            spec = {**volume["spec"], "capacity": {**volume["spec"]["capacity"], "storage": size}}
            await self._volumes.update({**volume, "spec": spec})
        status = {**claim["status"], "capacity": {**claim["status"]["capacity"], "storage": size}}
        await self._claims.update_status({**claim, "status": status})
        text = "MountVolume.NodeExpandVolume succeeded for volume"
        self._recorder.event(claim, "Normal", "FileSystemResizeSuccessful", text)


def _growing(old: Object | None, new: Object | None) -> Iterable[Key]:
    if new is not None and wants_more(new):
        yield key_of(new)


def build(context: Context) -> Sequence[Runnable]:
    claims, volumes = context.collection(PERSISTENT_VOLUME_CLAIMS), context.collection(PERSISTENT_VOLUMES)
    controller = context.controller("volume_expand", ExpansionReconciler(claims, volumes, context.recorder(COMPONENT)))
    controller.watch(claims.informer, _growing)
    controller.watch(volumes.informer, lambda old, new: ())
    return [controller]


CONTROLLER = ControllerSpec(
    "persistentvolume-expander-controller", build, alias="persistentvolume-expander", account="expand-controller"
)
