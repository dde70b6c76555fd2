"""Binds claims and volumes to each other, and releases volumes whose claim is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.volumes import matching
from controllers.volumes.plan import (
    bound_claim,
    bound_volume,
    claim_status,
    plan_claim,
    plan_volume,
)
from kubeling.api.meta import Key, Object, annotations_of, is_deleting, key_of, name_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "persistentvolume-controller"
RETRY_SECONDS = 15.0


class ClaimReconciler:
    """One claim at a time: whoever is chosen for it is seen as taken by the next."""

    def __init__(self, claims: Collection, volumes: Collection, classes: Collection, recorder: EventRecorder) -> None:
        self._claims = claims
        self._volumes = volumes
        self._classes = classes
        self._recorder = recorder

    async def reconcile(self, key: Key) -> Result | None:
        claim = self._claims.get(key)
        if claim is None:
            return None
        storage_class = self._classes.get(Key("", matching.class_of(claim)))
        decided = plan_claim(claim, self._volumes.store.list(), storage_class)
        if decided.bind is not None:
            await self._bind(claim, decided.bind)
            return None
        if is_deleting(claim):
            return None
        if decided.event is not None:
            self._recorder.event(claim, *decided.event)
        if decided.provision and storage_class is not None:
            claim = await self._ask_provisioner(claim, storage_class)
        status = claim.get("status") or {}
        if status.get("phase") != decided.phase:
            await self._claims.update_status({**claim, "status": {**status, "phase": decided.phase}})
        return Result(RETRY_SECONDS)

    async def _bind(self, claim: Object, volume: Object) -> None:
        """The volume's side first: a crash in between is finished by the next look."""
        wanted = bound_volume(volume, claim)
        if wanted is not volume:
            volume = await self._volumes.update(wanted)
        await set_phase(self._volumes, volume, "Bound")
        mine = bound_claim(claim, volume)
        if mine is not claim:
            claim = await self._claims.update(mine)
        status = claim_status(claim, volume)
        if status != claim.get("status"):
            await self._claims.update_status({**claim, "status": status})

    async def _ask_provisioner(self, claim: Object, storage_class: Object) -> Object:
        """Names the provisioner in the claim: it watches for that."""
        provisioner = storage_class["provisioner"]
        if annotations_of(claim).get(matching.PROVISIONER) == provisioner:
            return claim
        marks = {matching.PROVISIONER: provisioner, matching.BETA_PROVISIONER: provisioner}
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self._recorder.event(claim, "Normal", "ExternalProvisioning", text)
        annotations = {**annotations_of(claim), **marks}
        return await self._claims.update({**claim, "metadata": {**claim["metadata"], "annotations": annotations}})


class VolumeReconciler:
    """Keeps a volume's phase; volumes with nobody to delete them for say so."""

    def __init__(self, claims: Collection, volumes: Collection, recorder: EventRecorder) -> None:
        self._claims = claims
        self._volumes = volumes
        self._recorder = recorder

    async def reconcile(self, key: Key) -> None:
        volume = self._volumes.get(key)
        if volume is None:
            return
        ref = matching.claim_ref(volume)
        claim = self._claims.get(Key(ref.get("namespace", ""), ref.get("name", ""))) if ref else None
        decided = plan_volume(volume, claim)
        if decided.unbind:
            spec = {k: v for k, v in volume["spec"].items() if k != "claimRef"}
            volume = await self._volumes.update({**volume, "spec": spec})
        if decided.reclaim and matching.PROVISIONED_BY not in annotations_of(volume) and not is_deleting(volume):
            text = "no deletable volume plugin matched"
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", text)
            await set_phase(self._volumes, volume, "Failed", message=text)
            return
        await set_phase(self._volumes, volume, decided.phase)


async def set_phase(volumes: Collection, volume: Object, phase: str, *, message: str = "") -> Object:
    """Writes the phase where it is another."""
    status = volume.get("status") or {}
    if status.get("phase") == phase:
        return volume
    wanted = {k: v for k, v in status.items() if k != "message"} | {"phase": phase}
    if message:
        wanted["message"] = message
    return await volumes.update_status({**volume, "status": wanted})


def build(context: Context) -> Sequence[Runnable]:
    claims, volumes = context.collection(PERSISTENT_VOLUME_CLAIMS), context.collection(PERSISTENT_VOLUMES)
    classes, recorder = context.collection(STORAGE_CLASSES), context.recorder(COMPONENT)
    claiming = context.controller("claims", ClaimReconciler(claims, volumes, classes, recorder), workers=1)
    holding = context.controller("volumes", VolumeReconciler(claims, volumes, recorder), workers=1)

    def waiting_claims(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The volume's own claim, and every claim that is not bound yet."""
        for volume in (old, new):
            if volume is not None and (ref := matching.claim_ref(volume)):
                yield Key(ref.get("namespace", ""), ref.get("name", ""))
        yield from (key_of(c) for c in claims.store.list() if (c.get("status") or {}).get("phase") != "Bound")

    def claims_of_class(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is not None:
            yield from (key_of(c) for c in claims.store.list() if matching.class_of(c) == name_of(new))

    def volumes_of(old: Object | None, new: Object | None) -> Iterable[Key]:
        claim = new or old or {}
        for volume in volumes.store.list():
            ref = matching.claim_ref(volume)
            if (ref.get("namespace"), ref.get("name")) == tuple(key_of(claim)):
                yield key_of(volume)

    claiming.watch(claims.informer)
    claiming.watch(volumes.informer, waiting_claims)
    claiming.watch(classes.informer, claims_of_class)
    holding.watch(volumes.informer)
    holding.watch(claims.informer, volumes_of)
    return [claiming, holding]


CONTROLLER = ControllerSpec(
    "persistentvolume-binder-controller", build, alias="persistentvolume-binder", account="persistent-volume-binder"
)
