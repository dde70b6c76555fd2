"""RuntimeClass: a pod takes over overhead and scheduling constraints of the runtime class that it names."""

from __future__ import annotations

from apiserver.admission.common import about, refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import quantity
from kubeling.api.meta import Object
from kubeling.api.resources import RUNTIME_CLASSES


class RuntimeClass(NoAdmission):
    name = "RuntimeClass"
    resources = (("", "pods"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE",))

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        spec = (attributes.obj or {}).setdefault("spec", {})
        found = await self._class(attributes, spec)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and not _equal(spec["overhead"], overhead):
                text = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                raise refused(attributes, text)
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling") or {}
        if scheduling.get("nodeSelector"):
            spec["nodeSelector"] = _merged(attributes, spec.get("nodeSelector") or {}, scheduling["nodeSelector"])
        if scheduling.get("tolerations"):
            present = spec.get("tolerations") or []
            spec["tolerations"] = present + [dict(t) for t in scheduling["tolerations"] if t not in present]

    async def validate(self, attributes: AdmissionAttributes) -> None:
        spec = (attributes.obj or {}).get("spec") or {}
        found = await self._class(attributes, spec)
        overhead, wanted = spec.get("overhead"), ((found or {}).get("overhead") or {}).get("podFixed")
        if found is not None and wanted and not _equal(overhead or {}, wanted):
            text = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            raise refused(attributes, text)
        if overhead and not wanted:
            which = "Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise refused(attributes, f"pod rejected: {which}")

    async def _class(self, attributes: AdmissionAttributes, spec: Object) -> Object | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        found = attributes.registries.of(RUNTIME_CLASSES).cached(name)
        if found is None:
            raise refused(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _equal(one: Object, other: Object) -> bool:
    return one.keys() == other.keys() and all(quantity.parse(str(one[k])) == quantity.parse(str(other[k])) for k in one)


def _merged(attributes: AdmissionAttributes, pod: Object, runtime: Object) -> Object:
    for key, value in runtime.items():
        if key in pod and pod[key] != value:
            text = f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {pod[key]}"
            raise refused(attributes, text)
    return {**pod, **runtime}
