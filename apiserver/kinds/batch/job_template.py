"""How the pod template of a Job may change (pkg/apis/batch/validation: validatePodTemplateUpdate, and the strategy's options)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kinds.validation.meta import immutable
from apiserver.kinds.validation.pod.internal import internal_pod_spec, internal_template
from apiserver.kinds.validation.workloads import TEMPLATE
from kubeling.api.fields import ErrorList
from kubeling.api.meta import Object, has_condition

Fields = Mapping[str, Any]


def validate_template_update(template: Fields, old: Object) -> ErrorList:
    """Nothing of it changes, but while the job is suspended and has no pods: where they may run, and what they may use."""
    before: Object = old["spec"]["template"]
    if not _is_idle(old):
        return [] if template == before else immutable(internal_template(template), None, TEMPLATE)
    pod = template.get("spec") or {}
    if pod == _with_resources(pod, _with_directives(pod, before.get("spec") or {})):
        return []
    return immutable(internal_pod_spec(pod), None, TEMPLATE.child("spec"))


def _is_idle(job: Object) -> bool:
    """Suspended, and without pods of the template as it stands: it never started, or its controller has ended them all."""
    status = job.get("status") or {}
    ended = has_condition(job, "Suspended") and not status.get("active")
    return bool(job["spec"].get("suspend")) and (not status.get("startTime") or ended)


def _with_directives(pod: Fields, before: Fields) -> Object:
    """The pod's spec as it was, with what the new one says about where it may run."""
    relaxed = dict(before)
    for field in ("nodeSelector", "tolerations", "schedulingGates"):
        _take(relaxed, pod, field)
    affinity = dict(relaxed.get("affinity") or {})
    _take(affinity, pod.get("affinity") or {}, "nodeAffinity")
    if affinity or pod.get("affinity") is not None:
        relaxed["affinity"] = affinity
    else:
        relaxed.pop("affinity", None)
    return relaxed


def _with_resources(pod: Fields, before: Object) -> Object:
    """The pod's spec as it was, with the resources of the new one's containers, where these are the same ones."""
    relaxed = dict(before)
    for field in ("containers", "initContainers"):
        new, old = pod.get(field) or (), relaxed.get(field) or ()
        if new and len(new) == len(old):
            relaxed[field] = [_with_resources_of(a, b) for a, b in zip(new, old, strict=True)]
    return relaxed


def _with_resources_of(new: Fields, old: Object) -> Object:
    changed = dict(old)
    if new["name"] == old["name"]:
        _take(changed, new, "resources")
    return changed


def _take(target: Object, source: Fields, field: str) -> None:
    if field in source:
        target[field] = source[field]
    else:
        target.pop(field, None)
