"""How objects of a custom kind are defaulted, prepared and validated.

Model: k8s.io/apiextensions-apiserver pkg/registry/customresource (strategy.go, status_strategy.go, validator.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.kinds.strategies import keep
from apiserver.registry.kind import Context, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.jsonpath import parse
from kubeling.api.meta import Object
from kubeling.api.schema import StructuralSchema
from kubeling.api.structural.defaulting import Change
from kubeling.api.structural.lists import Check as Lists
from kubeling.api.structural.results import Check
from kubeling.api.structural.rules import ABSENT, Rules
from kubeling.api.structural.validation import validate

_OUTSIDE = ("metadata", "apiVersion", "kind")
_BLOCKING = (
    "FieldValueTypeInvalid",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueNotSupported",
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
_MOST_REPLICAS = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a definition, compiled. ``status`` and ``scale``: its subresources as the definition has them."""

    name: str
    api_version: str
    openapi: Mapping[str, Any]
    schema: StructuralSchema
    check: Check
    defaults: Change | None
    lists: Lists | None
    rules: Rules | None
    status: bool
    scale: Mapping[str, Any] | None

    def normalised(self, obj: Object) -> Object:
        """A pruned copy with the defaults of this version."""
        pruned = self.schema.decode(obj).obj
        if self.defaults is not None:
            self.defaults(pruned)
        return {**pruned, "apiVersion": self.api_version}


class CustomStrategy(Strategy):
    """``version`` is the one this strategy defaults; validation is that of the version that the request speaks."""

    has_generation = True
    standard_finalizers = False
    allow_unconditional_update = False

    def __init__(self, version: Version, versions: Mapping[str, Version]) -> None:
        self.version = version
        self._versions = versions

    def _spoken(self, ctx: Context) -> Version:
        return self._versions.get(ctx.api_version, self.version)

    def default(self, obj: Object) -> None:
        if self.version.defaults is not None:
            self.version.defaults(obj)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        if self._spoken(ctx).status:
            obj.pop("status", None)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        if self._spoken(ctx).status:
            keep(obj, old, "status")

    def generation_changed(self, obj: Object, old: Object) -> bool:
        """Everything but metadata, and the status where it is a subresource, is desired state."""
        outside = (*_OUTSIDE, "status") if self.version.status else _OUTSIDE
        return _without(obj, outside) != _without(old, outside)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        version = self._spoken(ctx)
        found = self._checked(version, obj)
        return found + self._judged(version, obj, ABSENT, found)

    def _checked(self, version: Version, obj: Object) -> ErrorList:
        found = validate(version.check, obj)
        if version.scale is not None:
            found += _replicas(obj, version.scale)
        if version.lists is not None:
            found += version.lists(obj, Path())
        return found

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        version = self._spoken(ctx)
        found = self._checked(version, obj)
        return found + self._judged(version, obj, old, found)

    def _judged(self, version: Version, obj: Object, old: Any, found: ErrorList) -> ErrorList:
        """What the rules say; they are not asked about an object whose shape is wrong."""
        if version.rules is None:
            return []
        if any(error.reason in _BLOCKING for error in found):
            return [fields.invalid(Path(), None, _UNCHECKED)]
        return version.rules(obj, old, Path())


class CustomStatusStrategy(CustomStrategy):
    """The status subresource: everything but the status stays, metadata included."""

    revalidates_metadata = False
    resets_metadata = True

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        status, metadata = obj.get("status"), obj["metadata"]
        kept = {**old["metadata"], "resourceVersion": metadata.get("resourceVersion", "")}
        if "managedFields" in metadata:
            kept["managedFields"] = metadata["managedFields"]
        identity: Object = {k: obj[k] for k in ("apiVersion", "kind") if k in obj}
        had_status = "status" in obj
        obj.clear()
        obj.update({**old, **identity, "metadata": kept})
        obj.pop("status", None)
        if had_status:
            obj["status"] = status

    def generation_changed(self, obj: Object, old: Object) -> bool:
        return False


def _without(obj: Object, outside: tuple[str, ...]) -> Object:
    return {k: v for k, v in obj.items() if k not in outside}


def _replicas(obj: Object, scale: Mapping[str, Any]) -> ErrorList:
    """What the scale subresource shows must be a count."""
    found: ErrorList = []
    for field in ("specReplicasPath", "statusReplicasPath"):
        path = scale.get(field) or ""
        for value in parse(path).find(obj) if path else ():
            if not isinstance(value, int) or isinstance(value, bool):
                continue
            where = Path(*path.strip(".").split("."))
            if value < 0:
                found.append(fields.invalid(where, value, "should be a non-negative integer"))
            elif value > _MOST_REPLICAS:
                found.append(fields.invalid(where, value, f"should be less than or equal to {_MOST_REPLICAS}"))
    return found
