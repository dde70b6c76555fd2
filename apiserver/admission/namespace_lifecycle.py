"""NamespaceLifecycle: nothing is created in a namespace that is missing or on its way out."""

from __future__ import annotations

from apiserver.admission.common import refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import errors
from kubeling.api.meta import Object
from kubeling.api.resources import NAMESPACES

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(NoAdmission):
    name = "NamespaceLifecycle"

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return attributes.operation != "CONNECT"

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        resource, operation = attributes.resource, attributes.operation
        if resource.plural == "namespaces" and not resource.group:
            if operation == "DELETE" and attributes.name in IMMORTAL:
                raise errors.forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
            return
        if not attributes.namespace or operation == "DELETE":
            return
        if resource.group == "authorization.k8s.io" and resource.plural == "localsubjectaccessreviews":
            return
        namespace = await _namespace(attributes)
        if operation == "CREATE" and (namespace.get("status") or {}).get("phase") == "Terminating":
            raise _terminating(attributes)


async def _namespace(attributes: AdmissionAttributes) -> Object:
    """The namespace; looked up in the store when the cache does not have it (yet). Raises 404."""
    registry = attributes.registries.of(NAMESPACES)
    return registry.cached(attributes.namespace) or await registry.get(attributes.namespace)


def _terminating(attributes: AdmissionAttributes) -> errors.StatusError:
    namespace = attributes.namespace
    error = refused(attributes, f"unable to create new content in namespace {namespace} because it is being terminated")
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.status["details"]["causes"] = [cause]
    return error
