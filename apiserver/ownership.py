"""Which fields of which version are tracked in managedFields, and which an endpoint resets and so never owns."""

from __future__ import annotations

from functools import lru_cache

from apiserver.registry.served import Served
from apiserver.registry.write import FieldManager
from kubeling.api import apply
from kubeling.api.schema import GVK, ObjectSchema
from kubeling.api.schema.body import Registered

_MAIN = ("status",)
_STATUS = ("spec",)

_RESET: dict[tuple[str, str, str], tuple[str, ...]] = {
    ("", "Pod", "status"): ("spec", "metadata.deletionTimestamp", "metadata.ownerReferences"),
    ("apps", "Deployment", "status"): ("spec", "metadata.labels"),
    ("certificates.k8s.io", "CertificateSigningRequest", ""): ("spec", "status"),
    ("certificates.k8s.io", "CertificateSigningRequest", "approval"): ("spec", "status.certificate"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", "status"): ("spec", "metadata"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "status"): ("spec", "metadata"),
    ("storage.k8s.io", "VolumeAttachment", "status"): ("spec", "metadata"),
}
"""By group, kind and subresource, where it is not ``status`` on the main resource and ``spec`` on status.
Source: GetResetFields of each kind's strategy."""


def manager_for(schemas: Registered, served: Served, subresource: str) -> FieldManager | None:
    """The field manager of a served version at one endpoint."""
    resource = served.resource
    gvk = GVK(resource.group, resource.version, resource.kind)
    default = _STATUS if subresource == "status" else _MAIN if served.kind.status is not None else ()
    reset = _RESET.get((resource.group, resource.kind, subresource), default)
    return _manager(schemas.of(*gvk), gvk, reset)


def manager_of(schemas: Registered, gvk: GVK) -> FieldManager:
    """The field manager of a kind that is answered without being stored (TokenRequest, the reviews)."""
    return _manager(schemas.of(*gvk), gvk, ())


@lru_cache(maxsize=1024)
def _manager(schema: ObjectSchema, gvk: GVK, reset: tuple[str, ...]) -> apply.FieldManager:
    return apply.FieldManager(gvk, schema, reset)
