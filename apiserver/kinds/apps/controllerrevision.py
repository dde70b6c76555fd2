"""ControllerRevision: an immutable snapshot of what a StatefulSet or DaemonSet once was."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.printing import AGE, NAME, NONE, age_of, column
from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.workloads import validate_counts
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, controller_of, name_of
from kubeling.api.resources import CONTROLLER_REVISIONS


class ControllerRevisionStrategy(Strategy):
    def default(self, obj: Object) -> None:
        obj.setdefault("revision", 0)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors: ErrorList = []
        if obj.get("data") is None:
            errors.append(fields.required(Path("data"), "data is mandatory"))
        return errors + validate_counts(obj, Path(), ("revision",))

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return self.validate(ctx, obj) + immutable(obj.get("data"), old.get("data"), Path("data"))


def _row(obj: Object, now: datetime) -> list[Any]:
    controller = controller_of(obj)
    shown = NONE
    if controller is not None:
        group = controller.get("apiVersion", "").rpartition("/")[0]
        kind = controller.get("kind", "").lower()
        shown = f"{kind}.{group}/{controller.get('name', '')}" if group else f"{kind}/{controller.get('name', '')}"
    return [name_of(obj), shown, obj.get("revision") or 0, age_of(obj, now)]


CONTROLLER_REVISION = Kind(
    CONTROLLER_REVISIONS,
    ControllerRevisionStrategy(),
    Printer(
        (
            NAME,
            column("Controller", "Controller of the object"),
            column("Revision", "apps.v1.ControllerRevision:revision"),
            AGE,
        ),
        _row,
    ),
)
