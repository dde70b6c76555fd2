"""Strategies and table cells that Deployments, ReplicaSets, Jobs and the other controllers of pods share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.printing import NONE, column
from apiserver.kinds.strategies import SpecStrategy
from apiserver.kinds.validation.pod.disabled import drop_disabled_in_template
from apiserver.kinds.validation.workloads import name_warnings, template_warnings
from apiserver.registry.kind import Context
from kubeling.api.meta import Object, name_of

CONTAINERS = column("Containers", "Names of each container in the template.", priority=1)
IMAGES = column("Images", "Images referenced by each container in the template.", priority=1)
READY = column("Ready", "Number of the pod with ready state")


class WorkloadStrategy(SpecStrategy):
    """Spec and status apart, generation, warnings about the pod template."""

    has_generation = True
    warns_about_name = True

    def template_of(self, obj: Object) -> Object | None:
        """The pod template, wherever the kind has it."""
        template: Object | None = (obj.get("spec") or {}).get("template")
        return template

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        super().prepare_for_create(ctx, obj)
        drop_disabled_in_template(self.template_of(obj))

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        super().prepare_for_update(ctx, obj, old)
        drop_disabled_in_template(self.template_of(obj), self.template_of(old))

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        warnings = name_warnings(name_of(obj)) if self.warns_about_name else []
        return warnings + self.spec_warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return self.spec_warnings(obj) if self.generation_changed(obj, old) else []

    def spec_warnings(self, obj: Object) -> list[str]:
        return template_warnings(self.template_of(obj))


def container_cells(template: Mapping[str, Any] | None) -> list[str]:
    """The names and the images of a template's containers."""
    containers = ((template or {}).get("spec") or {}).get("containers") or ()
    return [",".join(c.get("name") or "" for c in containers), ",".join(c.get("image") or "" for c in containers)]


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A label selector as upstream prints it: ``a=b,c in (d,e)``; empty when it selects all or nothing."""
    requirements = [(key, f"{key}={value}") for key, value in ((selector or {}).get("matchLabels") or {}).items()]
    for expression in (selector or {}).get("matchExpressions") or ():
        key, values = expression.get("key") or "", ",".join(sorted(expression.get("values") or ()))
        text = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}
        requirements.append((key, text.get(expression.get("operator") or "", key)))
    return ",".join(text for _, text in sorted(requirements, key=lambda pair: pair[0]))


def selector_cell(selector: Mapping[str, Any] | None) -> str:
    return selector_text(selector) or NONE
