"""DefaultStorageClass and DefaultIngressClass: objects that name no class get the one marked as the default.

Of several defaults the newest counts, of those made in the same second the first by name.
"""

from __future__ import annotations

from apiserver.admission.common import about
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resource import Resource
from kubeling.api.resources import INGRESS_CLASSES, STORAGE_CLASSES

_STORAGE = "storageclass.kubernetes.io/is-default-class"
_STORAGE_BETA = "storageclass.beta.kubernetes.io/is-default-class"
_INGRESS = "ingressclass.kubernetes.io/is-default-class"
_CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class"
_OLD_INGRESS_CLASS = "kubernetes.io/ingress.class"


def _defaults(attributes: AdmissionAttributes, resource: Resource, *marks: str) -> list[Object]:
    classes = attributes.registries.of(resource).cached_list()
    found = [c for c in classes if any(annotations_of(c).get(m) == "true" for m in marks)]
    found.sort(key=name_of)
    found.sort(key=lambda c: (c.get("metadata") or {}).get("creationTimestamp") or "", reverse=True)
    return found


class DefaultStorageClass(NoAdmission):
    name = "DefaultStorageClass"
    resources = (("", "persistentvolumeclaims"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "persistentvolumeclaims", ("CREATE",))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        claim = attributes.obj or {}
        spec = claim.setdefault("spec", {})
        if spec.get("storageClassName") is not None or _CLAIM_CLASS in annotations_of(claim):
            return
        found = _defaults(attributes, STORAGE_CLASSES, _STORAGE, _STORAGE_BETA)
        if found:
            spec["storageClassName"] = name_of(found[0])


class DefaultIngressClass(NoAdmission):
    name = "DefaultIngressClass"
    resources = (("networking.k8s.io", "ingresses"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "networking.k8s.io", "ingresses", ("CREATE",))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        ingress = attributes.obj or {}
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or annotations_of(ingress).get(_OLD_INGRESS_CLASS):
            return
        found = _defaults(attributes, INGRESS_CLASSES, _INGRESS)
        if found:
            spec["ingressClassName"] = name_of(found[0])
