"""What to do with a claim or a volume: pure, from both sides of the bond."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controllers.volumes import matching
from controllers.volumes.matching import BIND_COMPLETED, BOUND_BY_CONTROLLER
from kubeling.api.meta import Object, annotations_of, name_of, object_reference, uid_of

Event = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """``bind``: the volume to bind; ``phase``: the claim's phase otherwise; ``provision``: ask the class's provisioner."""

    bind: Object | None = None
    phase: str = "Pending"
    provision: bool = False
    event: Event | None = None


def plan_claim(claim: Object, volumes: Iterable[Object], storage_class: Object | None) -> ClaimPlan:
    """The next step of a claim."""
    known = {name_of(v): v for v in volumes}
    wanted = claim["spec"].get("volumeName") or ""
    if BIND_COMPLETED in annotations_of(claim):
        return _bound(claim, known.get(wanted))
    if wanted:
        volume = known.get(wanted)
        free = volume is not None and (not matching.claim_ref(volume) or matching.is_claimed_by(volume, claim))
        return ClaimPlan(bind=volume) if free else ClaimPlan()
    late = (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    found = matching.best_match(claim, known.values(), only_reserved=late)
    if found is not None:
        return ClaimPlan(bind=found)
    if late and matching.SELECTED_NODE not in annotations_of(claim):
        text = "waiting for first consumer to be created before binding"
        return ClaimPlan(event=("Normal", "WaitForFirstConsumer", text))
    if not matching.class_of(claim):
        text = "no persistent volumes available for this claim and no storage class is set"
        return ClaimPlan(event=("Normal", "FailedBinding", text))
    if storage_class is None:
        text = f'storageclass.storage.k8s.io "{matching.class_of(claim)}" not found'
        return ClaimPlan(event=("Warning", "ProvisioningFailed", text))
    return ClaimPlan(provision=True)


def _bound(claim: Object, volume: Object | None) -> ClaimPlan:
    if volume is None:
        text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return ClaimPlan(phase="Lost", event=("Warning", "ClaimLost", text))
    ref = matching.claim_ref(volume)
    if not ref or matching.is_claimed_by(volume, claim):
        return ClaimPlan(bind=volume)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return ClaimPlan(phase="Lost", event=("Warning", "ClaimMisbound", text))


def bound_volume(volume: Object, claim: Object) -> Object:
    """The volume with its side of the bond."""
    ref = matching.claim_ref(volume)
    if ref.get("uid") == uid_of(claim):
        return volume
    annotations = dict(annotations_of(volume))
    if not ref:
        annotations[BOUND_BY_CONTROLLER] = "yes"
    reference = object_reference({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    metadata = {**volume["metadata"], **({"annotations": annotations} if annotations else {})}
    return {**volume, "metadata": metadata, "spec": {**volume["spec"], "claimRef": reference}}


def bound_claim(claim: Object, volume: Object) -> Object:
    """The claim with its side of the bond."""
    annotations = {**annotations_of(claim), BIND_COMPLETED: "yes"}
    if not claim["spec"].get("volumeName"):
        annotations[BOUND_BY_CONTROLLER] = "yes"
    if annotations == annotations_of(claim) and claim["spec"].get("volumeName") == name_of(volume):
        return claim
    metadata = {**claim["metadata"], "annotations": annotations}
    return {**claim, "metadata": metadata, "spec": {**claim["spec"], "volumeName": name_of(volume)}}


def claim_status(claim: Object, volume: Object) -> Object:
    """The status of a bound claim; its capacity is the volume's when it is bound, and grows by expansion later."""
    status = {**(claim.get("status") or {}), "phase": "Bound"}
    status["accessModes"] = list(volume["spec"].get("accessModes") or ())
    status.setdefault("capacity", dict(volume["spec"].get("capacity") or {}))
    return status


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """``phase``: the volume's; ``reclaim``: its claim is gone and its policy is Delete; ``unbind``: free it again."""

    phase: str
    reclaim: bool = False
    unbind: bool = False


def plan_volume(volume: Object, claim: Object | None) -> VolumePlan:
    """The next step of a volume. ``claim``: what its reference names, None when that is gone or another."""
    ref = matching.claim_ref(volume)
    if not ref or not ref.get("uid"):
        return VolumePlan("Available")
    deletes = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    if claim is None or uid_of(claim) != ref["uid"]:
        return VolumePlan("Released", reclaim=deletes)
    bound_to = claim["spec"].get("volumeName") or ""
    if bound_to in ("", name_of(volume)):
        return VolumePlan("Bound" if bound_to else (volume.get("status") or {}).get("phase") or "Available")
    if matching.PROVISIONED_BY in annotations_of(volume) and deletes:
        return VolumePlan("Released", reclaim=True)
    return VolumePlan("Available", unbind=BOUND_BY_CONTROLLER in annotations_of(volume))
