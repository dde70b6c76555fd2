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
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def class_of(obj: Object) -> str:
    """The storage class of a claim or volume; the old annotation wins, as upstream."""
    old = annotations_of(obj).get(OLD_CLASS)
    return old if old is not None else obj["spec"].get("storageClassName") or ""


def has_class(claim: Object) -> bool:
    """Whether the claim names a class, be it the empty one."""
    return OLD_CLASS in annotations_of(claim) or claim["spec"].get("storageClassName") is not None


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


def attributes_class(obj: Object) -> str:
    """The VolumeAttributesClass of a claim or volume."""
    return obj["spec"].get("volumeAttributesClassName") or ""


def default_class(classes: Iterable[Object]) -> Object | None:
    """The default StorageClass; of several the newest, then the first by name."""
    marked = [c for c in classes if annotations_of(c).get(DEFAULT_CLASS) == "true"]
    marked.sort(key=name_of)
    return max(marked, key=lambda c: c["metadata"].get("creationTimestamp") or "", default=None)


def mismatch(volume: Object, claim: Object) -> str:
    """Why the volume that a claim names cannot be bound to it; empty when it can."""
    if is_deleting(volume):
        return f'the volume is marked for deletion "{name_of(volume)}"'
    if not _is_large_enough(volume, claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if attributes_class(volume) != attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    return "" if _has_modes(volume, claim) else "incompatible accessMode"


def best_match(claim: Object, volumes: Iterable[Object], *, only_reserved: bool) -> Object | None:
    """A volume reserved for the claim, else one with the fewest access modes, of these the smallest that fits.

    ``only_reserved`` leaves choosing to the scheduler.
    """
    fitting = [v for v in volumes if _fits(v, claim)]
    for volume in fitting:
        if is_claimed_by(volume, claim):
            return volume
    if only_reserved:
        return None
    free = [v for v in fitting if not claim_ref(v) and _is_offered(v, claim)]
    return min(free, key=lambda v: (len(_modes(v)), capacity(v).value, name_of(v)), default=None)


def _modes(volume: Object) -> set[str]:
    return set(volume["spec"].get("accessModes") or ())


def _has_modes(volume: Object, claim: Object) -> bool:
    return set(claim["spec"].get("accessModes") or ()) <= _modes(volume)


def _is_large_enough(volume: Object, claim: Object) -> bool:
    return capacity(volume).value >= requested(claim).value


def _fits(volume: Object, claim: Object) -> bool:
    """What is asked of a reserved volume, too."""
    return (
        not is_deleting(volume)
        and mode_of(volume) == mode_of(claim)
        and _is_large_enough(volume, claim)
        and _has_modes(volume, claim)
        and attributes_class(volume) == attributes_class(claim)
    )


def _is_offered(volume: Object, claim: Object) -> bool:
    if (volume.get("status") or {}).get("phase") != "Available" or class_of(volume) != class_of(claim):
        return False
    selector = claim["spec"].get("selector")
    return selector is None or selectors.from_label_selector(selector).matches(labels_of(volume))
