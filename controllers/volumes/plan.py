"""What to do with a claim or a volume: pure, from both sides of the bond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controllers.volumes import matching
from controllers.volumes.matching import BIND_COMPLETED, BOUND_BY_CONTROLLER
from kubeling.api.meta import Object, annotations_of, name_of, object_reference, uid_of

Event = tuple[str, str, str]

MIGRATED = {
    f"kubernetes.io/{name}"
    for name in ("aws-ebs", "azure-disk", "azure-file", "cinder", "gce-pd", "portworx-volume", "vsphere-volume")
}
"""Provisioners that were part of Kubernetes and whose work CSI drivers do now; others of that prefix do not exist."""


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """``bind``: the volume to bind; ``phase``: the claim's phase otherwise; ``provision``: ask the class's provisioner.

    ``once``: the event is told with the change of the phase alone, not at every look.
    """

    bind: Object | None = None
    phase: str = "Pending"
    provision: bool = False
    event: Event | None = None
    once: bool = False


def plan_claim(
    claim: Object, volumes: Iterable[Object], storage_class: Object | None, unscheduled: Sequence[str] = ()
) -> ClaimPlan:
    """The next step of a claim. ``unscheduled``: the names of pods that use it and have no node yet."""
    known = {name_of(v): v for v in volumes}
    wanted = claim["spec"].get("volumeName") or ""
    if BIND_COMPLETED in annotations_of(claim):
        return _bound(claim, wanted, known.get(wanted))
    if wanted:
        return _named(claim, known.get(wanted))
    late = (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    found = matching.best_match(claim, known.values(), only_reserved=late)
    if found is not None:
        return ClaimPlan(bind=found)
    if late and matching.SELECTED_NODE not in annotations_of(claim):
        return ClaimPlan(event=_waits_for(unscheduled))
    if not matching.class_of(claim):
        text = "no persistent volumes available for this claim and no storage class is set"
        return ClaimPlan(event=("Normal", "FailedBinding", text))
    if storage_class is None:
        text = f'storageclass.storage.k8s.io "{matching.class_of(claim)}" not found'
        return ClaimPlan(event=("Warning", "ProvisioningFailed", text))
    provisioner = storage_class["provisioner"]
    if provisioner.startswith("kubernetes.io/") and provisioner not in MIGRATED:
        return ClaimPlan(event=("Warning", "ProvisioningFailed", f"no volume plugin matched name: {provisioner}"))
    return ClaimPlan(provision=True)


def _waits_for(unscheduled: Sequence[str]) -> Event:
    if not unscheduled:
        return "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
    noun = "pod" if len(unscheduled) == 1 else "pods"
    return "Normal", "WaitForPodScheduled", f"waiting for {noun} {','.join(unscheduled)} to be scheduled"


def _named(claim: Object, volume: Object | None) -> ClaimPlan:
    """The claim asks for a volume by name."""
    if volume is None:
        return ClaimPlan()
    if matching.claim_ref(volume):
        if matching.is_claimed_by(volume, claim):
            return ClaimPlan(bind=volume)
        text = f'volume "{name_of(volume)}" already bound to a different claim.'
        return ClaimPlan(event=("Warning", "FailedBinding", text))
    problem = matching.mismatch(volume, claim)
    if problem:
        text = f'Cannot bind to requested volume "{name_of(volume)}": {problem}'
        return ClaimPlan(event=("Warning", "VolumeMismatch", text))
    return ClaimPlan(bind=volume)


def _bound(claim: Object, wanted: str, volume: Object | None) -> ClaimPlan:
    if volume is None:
        what = "its" if wanted else "reference to"
        text = f"Bound claim has lost {what} PersistentVolume. Data on the volume is lost!"
        return ClaimPlan(phase="Lost", event=("Warning", "ClaimLost", text), once=True)
    ref = matching.claim_ref(volume)
    if not ref or ref.get("uid") == uid_of(claim):
        return ClaimPlan(bind=volume)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return ClaimPlan(phase="Lost", event=("Warning", "ClaimMisbound", text), once=True)


def unbound_status(claim: Object, phase: str) -> Object:
    """The status of a claim without a volume."""
    kept = {k: v for k, v in (claim.get("status") or {}).items() if k not in ("accessModes", "capacity")}
    return {**kept, "phase": phase}


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
    """The status of a bound claim; capacity and attributes are the volume's in the moment of binding alone."""
    status = {**(claim.get("status") or {}), "phase": "Bound"}
    status["accessModes"] = list(volume["spec"].get("accessModes") or ())
    if (claim.get("status") or {}).get("phase") != "Bound":
        status["capacity"] = dict(volume["spec"].get("capacity") or {})
        status.pop("currentVolumeAttributesClassName", None)
        if attributes := volume["spec"].get("volumeAttributesClassName"):
            status["currentVolumeAttributesClassName"] = attributes
    return status


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """``phase``: the volume's, None to leave it; ``released``: its claim is gone; ``unbind``: free it again."""

    phase: str | None
    released: bool = False
    unbind: bool = False


def plan_volume(volume: Object, claim: Object | None) -> VolumePlan:
    """The next step of a volume. ``claim``: what its reference names, None when that is gone or another."""
    ref = matching.claim_ref(volume)
    if not ref or not ref.get("uid"):
        return VolumePlan("Available")
    if claim is None or uid_of(claim) != ref["uid"]:
        return _released(volume)
    bound_to = claim["spec"].get("volumeName") or ""
    if bound_to in ("", name_of(volume)):
        return VolumePlan("Bound" if bound_to else None)
    if matching.PROVISIONED_BY in annotations_of(volume) and reclaim_policy(volume) == "Delete":
        return _released(volume)
    return VolumePlan("Available", unbind=True)


def _released(volume: Object) -> VolumePlan:
    """A volume that could not be reclaimed stays Failed while that is tried again."""
    failed = (volume.get("status") or {}).get("phase") == "Failed"
    return VolumePlan("Failed" if failed else "Released", released=True)


def reclaim_policy(volume: Object) -> str:
    return volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain"


def unbound_volume(volume: Object) -> Object:
    """The volume without its bond: free when we bound it, still reserved when a user did."""
    annotations = dict(annotations_of(volume))
    spec = dict(volume["spec"])
    if BOUND_BY_CONTROLLER in annotations:
        del annotations[BOUND_BY_CONTROLLER]
        del spec["claimRef"]
    else:
        spec["claimRef"] = {k: v for k, v in spec["claimRef"].items() if k != "uid"}
    metadata = {k: v for k, v in volume["metadata"].items() if k != "annotations"}
    return {**volume, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}, "spec": spec}
