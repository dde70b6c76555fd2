"""What the ``resize`` subresource may change: CPU and memory of containers and of the pod (ValidatePodResize)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.pod.annotations import MIRROR
from apiserver.kinds.validation.pod.pod_resources import is_sidecar
from apiserver.kinds.validation.pod.qos import qos_class
from kubeling.api import fields, quantity
from kubeling.api.fields import ErrorList, FieldError, Path

Fields = Mapping[str, Any]
SPEC = Path("spec")
_RESIZABLE = ("cpu", "memory")


def validate_resize(new: Fields, old: Fields) -> ErrorList:
    """``new`` and ``old`` are pods that differ in resources and resize policies, or in which containers they have."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    refused = _refusal(old, before)
    if refused:
        return [FieldError("FieldValueForbidden", "Forbidden", "[]", None, refused)]
    errors: ErrorList = []
    old_class = (old.get("status") or {}).get("qosClass") or qos_class(before)
    if old_class != qos_class(spec):
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(fields.invalid(SPEC, (new.get("status") or {}).get("qosClass") or "", detail))
    if not _node_supports(old):
        errors.append(fields.forbidden(SPEC, "Pod running on node without support for resize"))
    moved = [error for field in ("containers", "initContainers") for error in _validate_order(spec, before, field)]
    if moved:
        return errors + moved
    errors += _validate_nothing_removed(spec.get("resources"), before.get("resources"), SPEC.child("resources"))
    for field in ("initContainers", "containers"):
        for i, (container, was) in enumerate(_pairs(spec, before, field)):
            if field == "containers" or is_sidecar(was):
                at = SPEC.child(field).index(i).child("resources")
                errors += _validate_nothing_removed(container.get("resources"), was.get("resources"), at)
    if not _same_but_for_cpu_and_memory(spec.get("resources"), before.get("resources")):
        errors.append(fields.forbidden(SPEC, "only cpu and memory resources are mutable"))
    for field in ("containers", "initContainers"):
        for container, was in _pairs(spec, before, field):
            errors += _validate_only_resizable(container, was, field)
    return errors


def _pairs(spec: Fields, before: Fields, field: str) -> list[tuple[Fields, Fields]]:
    return list(zip(spec.get(field) or (), before.get(field) or (), strict=True))


def _refusal(old: Fields, before: Fields) -> str:
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or {}):
        return "static pods cannot be resized"
    if (before.get("os") or {}).get("name") == "windows":
        return "windows pods cannot be resized"
    return ""


def _node_supports(pod: Fields) -> bool:
    """Only kubelets that report resources can resize; a pod without running containers gets the benefit of the doubt."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True


def _validate_order(spec: Fields, before: Fields, field: str) -> ErrorList:
    containers, known = spec.get(field) or [], before.get(field) or []
    if len(containers) != len(known):
        return [fields.forbidden(SPEC.child(field), f"{field} may not be added or removed on resize")]
    detail = f"{field} may not be renamed or reordered on resize"
    return [
        fields.forbidden(SPEC.child(field).index(i).child("name"), detail)
        for i, (container, was) in enumerate(zip(containers, known, strict=True))
        if container.get("name") != was.get("name")
    ]


def _validate_nothing_removed(resources: Fields | None, before: Fields | None, path: Path) -> ErrorList:
    return [
        fields.forbidden(path.child(field), f"resource {field} cannot be removed")
        for field in ("requests", "limits")
        if set((before or {}).get(field) or ()) - set((resources or {}).get(field) or ())
    ]


def _validate_only_resizable(new: Fields, old: Fields, field: str) -> ErrorList:
    if field == "initContainers" and not is_sidecar(old):
        if new == old:
            return []
        return [fields.forbidden(SPEC, "resources for non-sidecar init containers are immutable")]
    if _same_but_for_cpu_and_memory(new.get("resources"), old.get("resources")):
        return []
    what = "only cpu and memory resources " + ("for sidecar containers " if field == "initContainers" else "")
    return [fields.forbidden(SPEC, what + "are mutable")]


def _same_but_for_cpu_and_memory(new: Fields | None, old: Fields | None) -> bool:
    """Upstream looks at no amounts where there were none, and allows no resizing with claims."""
    if (old or {}).get("claims"):
        return False
    return all(
        _others((new or {}).get(field)) == _others((old or {}).get(field))
        for field in ("limits", "requests")
        if (old or {}).get(field)
    )


def _others(found: Fields | None) -> Fields:
    return {name: quantity.parse(text).value for name, text in (found or {}).items() if name not in _RESIZABLE}
