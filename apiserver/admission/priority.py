"""Priority: a pod's priority is computed from its priority class, and there is one default class at most."""

from __future__ import annotations

from typing import Any

from apiserver.admission.common import about, refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api.meta import Object, is_deleting, name_of
from kubeling.api.resources import PRIORITY_CLASSES

_GROUP = "scheduling.k8s.io"
_LOWER = "PreemptLowerPriority"
SYSTEM_CLASSES = frozenset({"system-node-critical", "system-cluster-critical"})


class Priority(NoAdmission):
    name = "Priority"
    resources = (("", "pods"), (_GROUP, "priorityclasses"))

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE", "UPDATE")) or about(
            attributes, _GROUP, "priorityclasses", ("CREATE", "UPDATE", "DELETE")
        )

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        if attributes.resource.plural != "pods" or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        if attributes.operation == "UPDATE":
            old = (attributes.old_obj or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):  # an update that leaves them out keeps them
                if spec.get(field) is None and old.get(field) is not None:
                    spec[field] = old[field]
            return
        name, priority, policy = await self._computed(attributes, spec.get("priorityClassName") or "")
        if name:
            spec["priorityClassName"] = name
        _claim(attributes, spec, "priority", priority, f"the integer value of priority ({spec.get('priority')})")
        text = f"the string value of PreemptionPolicy ({spec.get('preemptionPolicy')})"
        _claim(attributes, spec, "preemptionPolicy", policy, text)

    async def validate(self, attributes: AdmissionAttributes) -> None:
        """One default priority class at most, and the system's classes stay."""
        if attributes.operation == "DELETE":
            if attributes.name in SYSTEM_CLASSES:
                raise refused(attributes, "this is a system priority class and cannot be deleted")
            return
        if attributes.resource.plural != "priorityclasses" or not (attributes.obj or {}).get("globalDefault"):
            return
        default = _default_class(attributes)
        if default is not None and (attributes.operation == "CREATE" or name_of(default) != attributes.name):
            shown = name_of(default)
            raise refused(attributes, f"PriorityClass {shown} is already marked as default. Only one default can exist")

    async def _computed(self, attributes: AdmissionAttributes, name: str) -> tuple[str, int, str]:
        """Name of the class, priority, preemption policy."""
        if not name:
            default = _default_class(attributes)
            if default is None:
                return "", 0, _LOWER
            return name_of(default), int(default.get("value") or 0), default.get("preemptionPolicy") or _LOWER
        found = attributes.registries.of(PRIORITY_CLASSES).cached(name)
        if found is None:
            raise refused(attributes, f"no PriorityClass with name {name} was found")
        return name, int(found.get("value") or 0), found.get("preemptionPolicy") or _LOWER


def _claim(attributes: AdmissionAttributes, spec: Object, field: str, computed: Any, given: str) -> None:
    """Sets what was computed; a pod may state it itself only when it is right."""
    if spec.get(field) is not None and spec[field] != computed:
        why = f"priority admission controller computed {computed} from the given PriorityClass name"
        raise refused(attributes, f"{given} must not be provided in pod spec; {why}")
    spec[field] = computed


def _default_class(attributes: AdmissionAttributes) -> Object | None:
    """The default class; of several (made at the same time) the one with the lowest value, as upstream chooses."""
    classes = attributes.registries.of(PRIORITY_CLASSES).cached_list()
    defaults = [c for c in classes if c.get("globalDefault") and not is_deleting(c)]
    return min(defaults, key=lambda c: int(c.get("value") or 0), default=None)
