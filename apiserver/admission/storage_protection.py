"""StorageObjectInUseProtection: claims and volumes get a finalizer that keeps them while they are in use."""

from __future__ import annotations

from apiserver.admission.common import about
from apiserver.registry.admission import AdmissionAttributes, NoAdmission

_FINALIZERS = {
    ("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    ("", "persistentvolumes"): "kubernetes.io/pv-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(NoAdmission):
    name = "StorageObjectInUseProtection"
    resources = tuple(_FINALIZERS)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return any(about(attributes, group, plural, ("CREATE",)) for group, plural in _FINALIZERS)

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        finalizer = _FINALIZERS[attributes.resource.group, attributes.resource.plural]
        metadata = (attributes.obj or {}).setdefault("metadata", {})
        if finalizer not in (metadata.get("finalizers") or ()):
            metadata["finalizers"] = [*(metadata.get("finalizers") or ()), finalizer]
