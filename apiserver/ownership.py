"""Which fields of which version are tracked in managedFields, and which an endpoint resets and so never owns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from apiserver.registry.served import Served
from apiserver.registry.write import FieldManager
from kubeling.api import apply
from kubeling.api.meta import Object
from kubeling.api.schema import GVK, ObjectSchema, Type
from kubeling.api.schema.body import Registered

_MAIN = ("status",)
_STATUS = ("spec",)
_OWN_METADATA = ("spec", "metadata")

_RESET: dict[tuple[str, str, str], tuple[str, ...]] = {
    ("", "Pod", "status"): ("spec", "metadata.deletionTimestamp", "metadata.ownerReferences"),
    ("apps", "Deployment", "status"): ("spec", "metadata.labels"),
    ("certificates.k8s.io", "CertificateSigningRequest", ""): ("spec", "status"),
    ("certificates.k8s.io", "CertificateSigningRequest", "approval"): ("spec", "status.certificate"),
}
"""By group, kind and subresource, where it is not ``status`` on the main resource and on status ``spec``, with ``metadata``
where the strategy keeps that, too. Source: GetResetFields of each kind's strategy."""


class Versioned:
    """The field manager of a kind with several versions: managers of the others are compared in theirs."""

    def __init__(self, manager: apply.FieldManager, schemas: Registered, served: Served) -> None:
        self._manager = manager
        self._schemas = schemas
        self._served = served

    def _convert(self, value: Mapping[str, Any], version: str) -> tuple[Object, Type] | None:
        """From the version that the value names to another."""
        source, target = self._in(value.get("apiVersion", "")) or self._served, self._in(version)
        if target is None:
            return None
        resource = target.resource
        made = self._schemas.of(resource.group, resource.version, resource.kind).root
        obj = {**value, "metadata": value.get("metadata") or {}}
        return target.from_storage(source.to_storage(obj)), made

    def _in(self, version: str) -> Served | None:
        kind = self._served.kind
        if version == kind.resource.api_version:
            return Served(kind.resource, kind, None, b"")
        found = next((v for v in kind.versions if v.resource.api_version == version), None)
        return Served(found.resource, kind, found, b"") if found is not None else None

    def update(self, live: Object | None, new: Object, manager: str, subresource: str, now: datetime) -> Object:
        return self._manager.update(live, new, manager, subresource, now, self._convert)

    def apply(
        self, live: Object | None, patch: Object, manager: str, force: bool, subresource: str, now: datetime
    ) -> Object:
        return self._manager.apply(live, patch, manager, force, subresource, now, self._convert)


def manager_for(schemas: Registered, served: Served, subresource: str) -> FieldManager | None:
    """The field manager of a served version at one endpoint."""
    resource = served.resource
    gvk = GVK(resource.group, resource.version, resource.kind)
    status = served.kind.status
    default: tuple[str, ...] = _MAIN if status is not None else ()
    if status is not None and subresource == "status":
        default = _OWN_METADATA if status.resets_metadata else _STATUS
    reset = _RESET.get((resource.group, resource.kind, subresource), default)
    manager = _manager(schemas.of(*gvk), gvk, reset)
    return Versioned(manager, schemas, served) if served.kind.versions else manager


def manager_of(schemas: Registered, gvk: GVK) -> apply.FieldManager:
    """The field manager of a kind that is answered without being stored (TokenRequest, the reviews)."""
    return _manager(schemas.of(*gvk), gvk, ())


@lru_cache(maxsize=1024)
def _manager(schema: ObjectSchema, gvk: GVK, reset: tuple[str, ...]) -> apply.FieldManager:
    return apply.FieldManager(gvk, schema, reset)
