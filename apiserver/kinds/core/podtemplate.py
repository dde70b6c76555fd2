"""PodTemplate: a pod's description, kept for later (pkg/registry/core/podtemplate)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.kinds.printing import NAME, column, labels_text
from apiserver.kinds.validation.pod.defaults import default_template
from apiserver.kinds.validation.pod.spec import validate_template_spec
from apiserver.kinds.validation.workloads import template_warnings
from apiserver.kinds.workloads import container_cells
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import POD_TEMPLATES

_TEMPLATE = Path("template")


class PodTemplateStrategy(Strategy):
    revalidates_metadata = False
    has_generation = True

    def default(self, obj: Object) -> None:
        default_template(obj.setdefault("template", {}))

    def generation_changed(self, obj: Object, old: Object) -> bool:
        return obj.get("template") != old.get("template")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        return validate_template_spec(obj["template"], _TEMPLATE)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return template_warnings(obj.get("template"), _TEMPLATE)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return template_warnings(obj.get("template"), _TEMPLATE)


def _row(obj: Object, now: datetime) -> list[Any]:
    template = obj.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    return [name_of(obj), *container_cells(template), labels_text(labels)]


POD_TEMPLATE = Kind(
    POD_TEMPLATES,
    PodTemplateStrategy(),
    Printer(
        (
            NAME,
            column("Containers", "Names of each container in the template."),
            column("Images", "Images referenced by each container in the template."),
            column("Pod Labels", "The labels for the pod template."),
        ),
        _row,
    ),
    returns_deleted=True,
)
