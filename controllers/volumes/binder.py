"""Binds claims and volumes to each other, and releases volumes whose claim is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.lib.ranking import node_of
from controllers.volumes import matching
from controllers.volumes.plan import (
    bound_claim,
    bound_volume,
    claim_status,
    plan_claim,
    plan_volume,
    unbound_status,
    unbound_volume,
)
from controllers.volumes.protection import BY_CLAIM, claims_of_pod
from controllers.volumes.reclaim import Reclaimer, set_phase
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, annotations_of, is_deleting, key_of, name_of
from kubeling.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder

COMPONENT = "persistentvolume-controller"
RETRY_SECONDS = 15.0


class ClaimReconciler:
    """One claim at a time: whoever is chosen for it is seen as taken by the next."""

    def __init__(
        self, claims: Collection, volumes: Collection, classes: Collection, pods: Collection, recorder: EventRecorder
    ) -> None:
        self._claims = claims
        self._volumes = volumes
        self._classes = classes
        self._pods = pods
        self._recorder = recorder

    async def reconcile(self, key: Key) -> Result | None:
        claim = self._claims.get(key)
        if claim is None:
            return None
        storage_class = self._classes.get(Key("", matching.class_of(claim)))
        decided = plan_claim(claim, self._volumes.store.list(), storage_class, self._unscheduled(key))
        if decided.bind is not None:
            await self._bind(claim, decided.bind)
            return None
        if is_deleting(claim):
            return None
        if not claim["spec"].get("volumeName") and not matching.has_class(claim):
            default = matching.default_class(self._classes.store.list())
            if default is not None:  # a class that came after the claim: the write brings us back
                await self._claims.update({**claim, "spec": {**claim["spec"], "storageClassName": name_of(default)}})
                return None
        status = unbound_status(claim, decided.phase)
        moved = (claim.get("status") or {}).get("phase") != decided.phase
        if decided.provision and storage_class is not None:
            claim = await self._ask_provisioner(claim, storage_class)
        if status != claim.get("status"):
            claim = await self._claims.update_status({**claim, "status": status})
        if decided.event is not None and (moved or not decided.once):
            self._recorder.event(claim, *decided.event)
        return Result(RETRY_SECONDS)

    def _unscheduled(self, key: Key) -> list[str]:
        return sorted(name_of(pod) for pod in self._pods.store.by_index(BY_CLAIM, key) if not node_of(pod))

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
        if annotations_of(claim).get(matching.PROVISIONER) != provisioner:
            marks = {matching.PROVISIONER: provisioner, matching.BETA_PROVISIONER: provisioner}
            annotations = {**annotations_of(claim), **marks}
            claim = await self._claims.update({**claim, "metadata": {**claim["metadata"], "annotations": annotations}})
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self._recorder.event(claim, "Normal", "ExternalProvisioning", text)
        return claim


class VolumeReconciler:
    """Keeps a volume's phase, and reclaims volumes whose claim is gone."""

    def __init__(self, claims: Collection, volumes: Collection, reclaimer: Reclaimer) -> None:
        self._claims = claims
        self._volumes = volumes
        self._reclaimer = reclaimer

    async def reconcile(self, key: Key) -> Result | None:
        volume = self._volumes.get(key)
        if volume is None:
            return None
        decided = plan_volume(volume, await self._claim_of(volume))
        if decided.unbind:
            volume = await self._volumes.update(unbound_volume(volume))
        if decided.phase is not None:
            volume = await set_phase(self._volumes, volume, decided.phase)
        if decided.released and not await self._reclaimer.reclaim(volume):
            return Result(RETRY_SECONDS)
        return None

    async def _claim_of(self, volume: Object) -> Object | None:
        """The claim that the volume names; before one is taken for gone, the server is asked."""
        ref = matching.claim_ref(volume)
        if not ref.get("uid"):
            return None
        key = Key(ref.get("namespace", ""), ref.get("name", ""))
        claim = self._claims.get(key)
        if claim is None and (volume.get("status") or {}).get("phase") not in ("Released", "Failed"):
            try:
                claim = await self._claims.fetch(key)
            except StatusError as err:
                if not is_not_found(err):
                    raise
        return claim


def build(context: Context) -> Sequence[Runnable]:
    claims, volumes = context.collection(PERSISTENT_VOLUME_CLAIMS), context.collection(PERSISTENT_VOLUMES)
    classes, recorder = context.collection(STORAGE_CLASSES), context.recorder(COMPONENT)
    pods = context.collection(PODS, indexers={BY_CLAIM: claims_of_pod})
    claiming = context.controller("claims", ClaimReconciler(claims, volumes, classes, pods, recorder), workers=1)
    holding = context.controller("volumes", VolumeReconciler(claims, volumes, Reclaimer(volumes, recorder)), workers=1)

    def waiting_claims(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The volume's own claim, and every claim that is not bound yet."""
        for volume in (old, new):
            if volume is not None and (ref := matching.claim_ref(volume)):
                yield Key(ref.get("namespace", ""), ref.get("name", ""))
        yield from (key_of(c) for c in claims.store.list() if (c.get("status") or {}).get("phase") != "Bound")

    def claims_of_class(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is not None:
            named = (
                c for c in claims.store.list() if not matching.has_class(c) or matching.class_of(c) == name_of(new)
            )
            yield from (key_of(c) for c in named)

    def volumes_of(old: Object | None, new: Object | None) -> Iterable[Key]:
        claim = new or old or {}
        for volume in volumes.store.list():
            ref = matching.claim_ref(volume)
            if (ref.get("namespace"), ref.get("name")) == tuple(key_of(claim)):
                yield key_of(volume)

    claiming.watch(claims.informer)
    claiming.watch(volumes.informer, waiting_claims)
    claiming.watch(classes.informer, claims_of_class)
    claiming.watch(pods.informer, lambda old, new: ())
    holding.watch(volumes.informer)
    holding.watch(claims.informer, volumes_of)
    return [claiming, holding]


CONTROLLER = ControllerSpec(
    "persistentvolume-binder-controller", build, alias="persistentvolume-binder", account="persistent-volume-binder"
)
