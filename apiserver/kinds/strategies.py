"""Strategies that recur: kinds with a status of their own, and their status subresources.

Source: the ``PrepareForCreate``/``PrepareForUpdate`` pairs of k8s.io/kubernetes/pkg/registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.registry.kind import Context, Strategy
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object

_STATUS_KEEPS = ("deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences")


def keep(obj: Object, old: Mapping[str, Any], *fields: str) -> None:
    """The fields of ``obj`` become what they are in ``old``."""
    for field in fields:
        if field in old:
            obj[field] = old[field]
        else:
            obj.pop(field, None)


class SpecStrategy(Strategy):
    """A kind with a status that its own endpoint may not touch; a created object starts with ``empty_status``."""

    empty_status: Mapping[str, Any] | None = None
    """None: the field is left out."""

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        if self.empty_status is None:
            obj.pop("status", None)
        else:
            obj["status"] = dict(self.empty_status)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, "status")


class StatusStrategy(Strategy):
    """The status subresource of a kind: everything but the status (and what ``kept`` does not name) stays.

    Labels, annotations and the like may be changed through it, as upstream lets them for most kinds.
    """

    revalidates_metadata = False
    kept: tuple[str, ...] = ("spec",)

    def __init__(self, main: Strategy) -> None:
        self.main = main
        self.allow_unconditional_update = main.allow_unconditional_update
        self.standard_finalizers = main.standard_finalizers

    def default(self, obj: Object) -> None:
        self.main.default(obj)

    def validate_name(self, name: str) -> list[str]:
        return self.main.validate_name(name)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        keep(obj, old, *self.kept)

    def generation_changed(self, obj: Object, old: Object) -> bool:
        return False

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return []


class OwnMetadataStatusStrategy(StatusStrategy):
    """A status subresource that leaves metadata alone, too."""

    resets_metadata = True

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        super().prepare_for_update(ctx, obj, old)
        keep(obj["metadata"], old["metadata"], *_STATUS_KEEPS)


def default_to(obj: dict[str, Any], field: str, value: Any) -> None:
    """Sets a field that is absent, null or empty (what Go calls the zero value of a string, or a nil pointer)."""
    if obj.get(field) in (None, ""):
        obj[field] = value
