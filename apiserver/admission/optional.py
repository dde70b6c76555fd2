"""Plugins that run only where they are asked for, none longer than a few lines.

AlwaysPullImages, DenyServiceExternalIPs, ExtendedResourceToleration, NamespaceExists, NamespaceAutoProvision,
OwnerReferencesPermissionEnforcement. Source: documentation "Admission Control in Kubernetes".
"""

from __future__ import annotations

from apiserver.admission.common import about, refused
from apiserver.http.protocols import Attributes, Authorizer
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import errors
from kubeling.api.meta import Object
from kubeling.api.resources import NAMESPACES

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def _containers(pod: Object) -> list[Object]:
    spec = pod.get("spec") or {}
    return [c for field in _CONTAINERS for c in spec.get(field) or ()]


class AlwaysPullImages(NoAdmission):
    """Nobody runs an image that another pulled with credentials of their own."""

    name = "AlwaysPullImages"
    resources = (("", "pods"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE", "UPDATE"), ("", "ephemeralcontainers"))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        for container in _containers(attributes.obj or {}):
            container["imagePullPolicy"] = "Always"


class DenyServiceExternalIPs(NoAdmission):
    """No new external IPs: whoever sets them takes over traffic to those addresses."""

    name = "DenyServiceExternalIPs"
    resources = (("", "services"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "services", ("CREATE", "UPDATE"))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        new, old = (
            set((o.get("spec") or {}).get("externalIPs") or ())
            for o in (attributes.obj or {}, attributes.old_obj or {})
        )
        if new - old:
            raise refused(attributes, "Use of external IPs is denied by admission control.")


class ExtendedResourceToleration(NoAdmission):
    """A pod that asks for an extended resource tolerates the taint of the nodes that have it."""

    name = "ExtendedResourceToleration"
    resources = (("", "pods"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE", "UPDATE"))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        pod = attributes.obj or {}
        wanted = {
            name
            for container in _containers(pod)
            for name in (container.get("resources") or {}).get("requests") or ()
            if "/" in name and not name.partition("/")[0].endswith("kubernetes.io")
        }
        spec = pod.setdefault("spec", {})
        present = spec.get("tolerations") or []
        added = [{"key": name, "operator": "Exists"} for name in sorted(wanted)]
        added = [
            a for a in added if not any(t.get("key") == a["key"] and t.get("operator") == "Exists" for t in present)
        ]
        if added:
            spec["tolerations"] = [*present, *added]


class NamespaceExists(NoAdmission):
    """Nothing is done in a namespace that is not there (NamespaceLifecycle says so of creations and updates anyway)."""

    name = "NamespaceExists"

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return bool(attributes.namespace) and attributes.operation in ("CREATE", "UPDATE", "DELETE")

    async def validate(self, attributes: AdmissionAttributes) -> None:
        registry = attributes.registries.of(NAMESPACES)
        if registry.cached(attributes.namespace) is None:
            await registry.get(attributes.namespace)


class NamespaceAutoProvision(NoAdmission):
    """A namespace that is missing is made with the first object in it."""

    name = "NamespaceAutoProvision"

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return bool(attributes.namespace) and attributes.operation == "CREATE" and not attributes.subresource

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        registry = attributes.registries.of(NAMESPACES)
        if attributes.dry_run or registry.cached(attributes.namespace) is not None:
            return
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": attributes.namespace}}
        try:
            await registry.create(namespace)
        except errors.StatusError as error:
            if not errors.is_already_exists(error):
                raise


class OwnerReferencesPermissionEnforcement(NoAdmission):
    """Changing owners needs the right to delete; blocking an owner's deletion the right to update its finalizers."""

    name = "OwnerReferencesPermissionEnforcement"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return attributes.operation in ("CREATE", "UPDATE") and attributes.subresource != "status"

    async def validate(self, attributes: AdmissionAttributes) -> None:
        new, old = _owners(attributes.obj), _owners(attributes.old_obj)
        if new == old:
            return
        if attributes.operation == "UPDATE" and not await self._may(attributes, "delete", attributes.resource.plural):
            text = "cannot set an ownerRef on a resource you can't delete"
            raise refused(attributes, text)
        for owner in new:
            if owner in old or not owner.get("blockOwnerDeletion"):
                continue
            group = owner.get("apiVersion", "").rpartition("/")[0]
            registry = attributes.registries.find_kind(group, owner.get("kind", ""))
            if registry is None:
                continue
            resource = registry.kind.resource
            allowed = await self._may(
                attributes, "update", resource.plural, group=group, subresource="finalizers", name=owner.get("name", "")
            )
            if not allowed:
                text = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"
                raise refused(attributes, text)

    async def _may(
        self,
        attributes: AdmissionAttributes,
        verb: str,
        resource: str,
        *,
        group: str | None = None,
        subresource: str = "",
        name: str = "",
    ) -> bool:
        question = Attributes(
            attributes.user,
            verb,
            group=attributes.resource.group if group is None else group,
            version="*",
            resource=resource,
            subresource=subresource,
            namespace=attributes.namespace,
            name=name or attributes.name,
        )
        return (await self._authorizer.authorize(question)).allowed


def _owners(obj: Object | None) -> list[Object]:
    return list(((obj or {}).get("metadata") or {}).get("ownerReferences") or ())
