"""PersistentVolumeClaimResize: a claim may grow only where its storage class allows it."""

from __future__ import annotations

from apiserver.admission.common import about, refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import quantity
from kubeling.api.meta import Object, annotations_of
from kubeling.api.resources import STORAGE_CLASSES

_CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize(NoAdmission):
    name = "PersistentVolumeClaimResize"
    resources = (("", "persistentvolumeclaims"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "persistentvolumeclaims", ("UPDATE",))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        new, old = attributes.obj or {}, attributes.old_obj or {}
        if not _grows(new, old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refused(attributes, "Only bound persistent volume claims can be expanded")
        name = annotations_of(new).get(_CLAIM_CLASS) or (new.get("spec") or {}).get("storageClassName") or ""
        found = attributes.registries.of(STORAGE_CLASSES).cached(name) if name else None
        if found is None or not found.get("allowVolumeExpansion"):
            needed = "the storageclass that provisions the pvc must support resize"
            text = f"only dynamically provisioned pvc can be resized and {needed}"
            raise refused(attributes, text)


def _grows(new: Object, old: Object) -> bool:
    try:
        return quantity.parse(_storage(new)).value > quantity.parse(_storage(old)).value
    except quantity.QuantityError:
        return False  # validation says what is wrong


def _storage(claim: Object) -> str:
    return str((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage", "0"))
