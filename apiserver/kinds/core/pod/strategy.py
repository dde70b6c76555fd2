"""Pods: what a create and an update may do (pkg/registry/core/pod)."""

from __future__ import annotations

from typing import Any

from apiserver.kinds.core.pod.alike import Alike, digest_of
from apiserver.kinds.strategies import keep
from apiserver.kinds.validation.meta import METADATA
from apiserver.kinds.validation.pod.annotations import validate_pod_annotations
from apiserver.kinds.validation.pod.containers import validate_image_spaces
from apiserver.kinds.validation.pod.defaults import default_pod
from apiserver.kinds.validation.pod.disabled import drop_disabled
from apiserver.kinds.validation.pod.qos import qos_class
from apiserver.kinds.validation.pod.security import (
    APPARMOR_CONTAINER,
    containers_with_paths,
    validate_annotations_match,
)
from apiserver.kinds.validation.pod.spec import validate_pod_spec
from apiserver.kinds.validation.pod.updates import validate_annotations_changed, validate_spec_update
from apiserver.kinds.validation.pod.warnings import pod_warnings
from apiserver.registry.kind import Context, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, labels_of, name_of

SPEC = Path("spec")
_LEGACY_ANNOTATIONS = tuple(
    f"pod.{stage}.kubernetes.io/init-container{suffix}" for stage in ("alpha", "beta") for suffix in ("s", "-statuses")
)


class PodStrategy(Strategy):
    has_generation = True

    def __init__(self) -> None:
        self._valid = Alike()
        self._unremarkable = Alike()

    def default(self, obj: Object) -> None:
        annotations = (obj.get("metadata") or {}).get("annotations")
        for key in _LEGACY_ANNOTATIONS:
            if annotations:
                annotations.pop(key, None)
        default_pod(obj)

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        spec = obj["spec"]
        drop_disabled(spec)
        obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "lastTransitionTime": None,
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]
        merge_match_label_keys(obj)
        apply_apparmor_annotations(obj)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        drop_disabled(obj["spec"], old["spec"])
        keep(obj, old, "status")

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        digest = digest_of(obj)
        if digest in self._valid:
            return []
        errors = self._validate(obj)
        if not errors:
            self._valid.add(digest)
        return errors

    @staticmethod
    def _validate(obj: Object) -> ErrorList:
        spec = obj["spec"]
        errors = validate_whole_pod(obj)
        if spec.get("ephemeralContainers"):
            errors.append(fields.forbidden(SPEC.child("ephemeralContainers"), "cannot be set on create"))
        if spec.get("nodeName") and spec.get("schedulingGates"):
            detail = "cannot be set until all schedulingGates have been cleared"
            errors.append(fields.forbidden(SPEC.child("nodeName"), detail))
        return errors + validate_annotations_match(annotations_of(obj), spec, SPEC)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = validate_whole_pod(obj) + validate_annotations_changed(obj, old)
        return errors + validate_spec_update(obj["spec"], old["spec"])

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        warnings: list[str] = []
        messages = names.is_dns1123_label(name_of(obj))
        if messages:
            warnings.append(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
                f"a DNS label is recommended: [{' '.join(messages)}]"
            )
        digest = digest_of(obj)
        if digest in self._unremarkable:
            return warnings
        found = apparmor_warnings(obj) + pod_warnings(obj["spec"], obj.get("metadata") or {}, Path(), template=False)
        if not found:
            self._unremarkable.add(digest)
        return warnings + found

    def grace_period(self, obj: Object, requested: int | None) -> int | None:
        spec = obj.get("spec") or {}
        period = spec.get("terminationGracePeriodSeconds") if requested is None else requested
        finished = (obj.get("status") or {}).get("phase") in ("Failed", "Succeeded")
        if not spec.get("nodeName") or finished:
            return 0
        period = int(period or 0)
        return 1 if period < 0 else period


def validate_whole_pod(pod: Object) -> ErrorList:
    """What holds for a pod at all times, metadata apart."""
    spec: dict[str, Any] = pod["spec"]
    errors = validate_pod_annotations(annotations_of(pod), spec, METADATA.child("annotations"))
    errors += validate_pod_spec(spec, SPEC, pod_name=name_of(pod), is_pod=True)
    if not spec.get("serviceAccountName"):
        errors += _validate_no_tokens(spec)
    for field in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(field) or ()):
            errors += validate_image_spaces(container, SPEC.child(field).index(i))
    return errors


def _validate_no_tokens(spec: dict[str, Any]) -> ErrorList:
    return [
        fields.forbidden(
            SPEC.child("volumes").index(i).child("projected", "sources").index(j).child("serviceAccountToken"),
            "must not be specified when serviceAccountName is not set",
        )
        for i, volume in enumerate(spec.get("volumes") or ())
        for j, source in enumerate((volume.get("projected") or {}).get("sources") or ())
        if source.get("serviceAccountToken") is not None
    ]


def merge_match_label_keys(pod: Object) -> None:
    """``matchLabelKeys`` become requirements of the selectors, with the values of the pod's own labels."""
    labels = labels_of(pod)
    affinity = pod["spec"].get("affinity") or {}
    terms: list[Object] = list(pod["spec"].get("topologySpreadConstraints") or ())
    for field in ("podAffinity", "podAntiAffinity"):
        holder = affinity.get(field) or {}
        terms += holder.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = holder.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted["podAffinityTerm"] for weighted in preferred if weighted.get("podAffinityTerm")]
    for term in terms:
        selector = term.get("labelSelector")
        if selector is None:
            continue
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
            for key in term.get(field) or ():
                if key in labels:
                    requirement = {"key": key, "operator": operator, "values": [labels[key]]}
                    selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), requirement]


def apply_apparmor_annotations(pod: Object) -> None:
    """The old AppArmor annotations become the fields that replaced them."""
    spec, annotations = pod["spec"], annotations_of(pod)
    if (spec.get("os") or {}).get("name") == "windows":
        return
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container, _ in containers_with_paths(spec, SPEC):
        value = annotations.get(APPARMOR_CONTAINER + (container.get("name") or ""))
        context = container.get("securityContext") or {}
        profile = _apparmor_profile(value) if value is not None else None
        if profile is None or pod_profile is not None or context.get("appArmorProfile") is not None:
            continue
        container["securityContext"] = {**context, "appArmorProfile": profile}  # type: ignore[index]


def apparmor_warnings(pod: Object) -> list[str]:
    """One for each annotation that ``apply_apparmor_annotations`` has turned into a field."""
    annotations, found = annotations_of(pod), []
    for container, _ in containers_with_paths(pod["spec"], SPEC):
        key = APPARMOR_CONTAINER + (container.get("name") or "")
        profile = (container.get("securityContext") or {}).get("appArmorProfile")
        if profile is not None and profile == _apparmor_profile(annotations.get(key, "")):
            text = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            found.append(f"{METADATA.child('annotations').key(key)}: {text}")
    return found


def _apparmor_profile(annotation: str) -> Object | None:
    if annotation.startswith("localhost/"):
        local = annotation.removeprefix("localhost/")
        return {"type": "Localhost", "localhostProfile": local} if local else None
    kind = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}.get(annotation)
    return {"type": kind} if kind else None
