"""Expansion: volumes of others wait for whoever can; local ones grow as soon as more is asked for, a folder has no size.

Source of the rules: pkg/controller/volume/expand, and for local volumes what an external resizer does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.volumes import matching
from controllers.volumes.provisioner import NAME
from kubeling.api.meta import Key, Object, annotations_of, key_of, name_of
from kubeling.api.quantity import canonical, parse
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubeling.client.events import EventRecorder

COMPONENT = "volume_expand"
RESIZER = f"external-resizer {NAME}"
_WAITING = (
    "didn't find a plugin capable of expanding the volume; waiting for an external controller to process this PVC"
)


def wants_more(claim: Object) -> bool:
    """True for a bound claim that asks for more than it has."""
    status = claim.get("status") or {}
    has = (status.get("capacity") or {}).get("storage")
    return status.get("phase") == "Bound" and has is not None and matching.requested(claim).value > parse(has).value


def grown(claim: Object, size: str) -> Object:
    """The status of a claim whose volume has the size."""
    status = claim["status"]
    conditions = [c for c in status.get("conditions") or () if c["type"] not in ("Resizing", "FileSystemResizePending")]
    return {
        **{k: v for k, v in status.items() if k != "conditions"},
        **({"conditions": conditions} if conditions else {}),
        "capacity": {**status["capacity"], "storage": size},
        "allocatedResources": {**(status.get("allocatedResources") or {}), "storage": size},
    }


class ExpansionReconciler:
    """The volume first, then the claim's status."""

    def __init__(
        self, claims: Collection, volumes: Collection, recorder: EventRecorder, resizing: EventRecorder
    ) -> None:
        self._claims = claims
        self._volumes = volumes
        self._recorder = recorder
        self._resizing = resizing

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None or not wants_more(claim):
            return
        volume = self._volumes.get(Key("", claim["spec"].get("volumeName") or ""))
        if volume is None:
            return
        self._recorder.event(claim, "Normal", "ExternalExpanding", _WAITING)
        if annotations_of(volume).get(matching.PROVISIONED_BY) == NAME:
            await self._grow(claim, volume)

    async def _grow(self, claim: Object, volume: Object) -> None:
        size = canonical(claim["spec"]["resources"]["requests"]["storage"])
        self._resizing.event(claim, "Normal", "Resizing", f"External resizer is resizing volume {name_of(volume)}")
        if matching.capacity(volume).value < parse(size).value:
            spec = {**volume["spec"], "capacity": {**volume["spec"]["capacity"], "storage": size}}
            await self._volumes.update({**volume, "spec": spec})
        await self._claims.update_status({**claim, "status": grown(claim, size)})
        self._resizing.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")


def _growing(old: Object | None, new: Object | None) -> Iterable[Key]:
    if new is not None and wants_more(new):
        yield key_of(new)


def build(context: Context) -> Sequence[Runnable]:
    claims, volumes = context.collection(PERSISTENT_VOLUME_CLAIMS), context.collection(PERSISTENT_VOLUMES)
    controller = context.controller(
        "volume_expand", ExpansionReconciler(claims, volumes, context.recorder(COMPONENT), context.recorder(RESIZER))
    )
    controller.watch(claims.informer, _growing)
    controller.watch(volumes.informer, lambda old, new: ())
    return [controller]


CONTROLLER = ControllerSpec(
    "persistentvolume-expander-controller", build, alias="persistentvolume-expander", account="expand-controller"
)
