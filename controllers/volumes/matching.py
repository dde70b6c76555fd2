"""Which volume fits a claim. Pure.

Source of the rules: the PersistentVolume documentation (binding by size, mode, class and selector).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeling.api import selectors
from kubeling.api.meta import Object, annotations_of, is_deleting, labels_of, name_of, namespace_of, uid_of
from kubeling.api.quantity import Quantity, parse

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def class_of(obj: Object) -> str:
    """The storage class of a claim or volume; the old annotation wins, as upstream."""
    old = annotations_of(obj).get("volume.beta.kubernetes.io/storage-class")
    return old if old is not None else obj["spec"].get("storageClassName") or ""


def requested(claim: Object) -> Quantity:
    return parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or "0")


def capacity(volume: Object) -> Quantity:
    return parse((volume["spec"].get("capacity") or {}).get("storage") or "0")


def mode_of(obj: Object) -> str:
    return obj["spec"].get("volumeMode") or "Filesystem"


def claim_ref(volume: Object) -> dict[str, Any]:
    return dict(volume["spec"].get("claimRef") or {})


def is_claimed_by(volume: Object, claim: Object) -> bool:
    """True when the volume is reserved for the claim, with its uid or before that is known."""
    ref = claim_ref(volume)
    same = (ref.get("namespace"), ref.get("name")) == (namespace_of(claim), name_of(claim))
    return same and ref.get("uid") in (None, "", uid_of(claim))


def best_match(claim: Object, volumes: Iterable[Object], *, only_reserved: bool) -> Object | None:
    """A volume reserved for the claim, else the smallest that fits; ``only_reserved`` leaves choosing to the scheduler."""
    known = list(volumes)
    for volume in known:
        if is_claimed_by(volume, claim) and _is_large_enough(volume, claim) and mode_of(volume) == mode_of(claim):
            return volume
    if only_reserved:
        return None
    fitting = [v for v in known if _fits(v, claim)]
    return min(fitting, key=lambda v: (capacity(v).value, name_of(v)), default=None)


def _is_large_enough(volume: Object, claim: Object) -> bool:
    return capacity(volume).value >= requested(claim).value


def _fits(volume: Object, claim: Object) -> bool:
    if claim_ref(volume) or is_deleting(volume) or class_of(volume) != class_of(claim):
        return False
    if (volume.get("status") or {}).get("phase", "Available") not in ("Available", "Pending"):
        return False
    if mode_of(volume) != mode_of(claim) or not _is_large_enough(volume, claim):
        return False
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return False
    selector = claim["spec"].get("selector")
    return selector is None or selectors.from_label_selector(selector).matches(labels_of(volume))
