"""CustomResourceDefinition: the declaration of a custom kind."""

from __future__ import annotations

from apiserver.kinds.apiextensions.validation import validate_definition, validate_definition_update
from apiserver.kinds.strategies import StatusStrategy, keep
from apiserver.registry.kind import Context, Kind, Strategy
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, rfc3339, with_condition
from kubeling.api.resources import CUSTOM_RESOURCE_DEFINITIONS

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that a definition keeps until its objects are gone."""


class CRDStrategy(Strategy):
    has_generation = True
    standard_finalizers = False
    allow_unconditional_update = False

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_definition(obj)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_definition_update(obj, old)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if names.get("kind"):
            names["singular"] = names.get("singular") or names["kind"].lower()
            names["listKind"] = names.get("listKind") or names["kind"] + "List"
        conversion = spec.setdefault("conversion", {"strategy": "None"})
        service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": [v["name"] for v in obj["spec"].get("versions") or () if v.get("storage")][:1],
        }

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """A version that became the storage version joins the stored ones."""
        keep(obj, old, "status")
        status = obj.get("status") or {}
        stored = list(status.get("storedVersions") or ())
        added = [v["name"] for v in obj["spec"].get("versions") or () if v.get("storage") and v["name"] not in stored]
        if added:
            obj["status"] = {**status, "storedVersions": stored + added}

    def begins_deletion(self, ctx: Context, obj: Object) -> bool:
        """The definition waits, behind a finalizer, until all its objects are gone."""
        metadata, status = obj["metadata"], obj.get("status") or {}
        metadata["deletionTimestamp"] = rfc3339(ctx.now)
        finalizers = metadata.get("finalizers") or []
        if CLEANUP not in finalizers:
            metadata["finalizers"] = [*finalizers, CLEANUP]
        conditions = with_condition(
            status.get("conditions"),
            "Terminating",
            "True",
            ctx.now,
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        )
        obj["status"] = {**status, "conditions": conditions}
        return True


_STRATEGY = CRDStrategy()

CUSTOM_RESOURCE_DEFINITION = Kind(
    CUSTOM_RESOURCE_DEFINITIONS,
    _STRATEGY,
    status=StatusStrategy(_STRATEGY),
    returns_deleted=True,
    key="apiextensions.k8s.io/customresourcedefinitions",
)
