"""What the controllers of pods share in validation: selector against template, status counters, GCE disks.

Source: pkg/apis/apps/validation and pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.kinds.validation.meta import nonnegative
from apiserver.kinds.validation.pod.spec import validate_template_spec
from apiserver.kinds.validation.pod.warnings import pod_warnings
from apiserver.kinds.validation.selectors import is_empty, shown_map, shown_selector, validate_label_selector
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.selectors import Selector, from_label_selector

Fields = Mapping[str, Any]
SPEC, STATUS = Path("spec"), Path("status")
TEMPLATE = SPEC.child("template")
MISMATCH = "`selector` does not match template `labels`"
_DISK = "must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only"


def validate_counts(owner: Fields, path: Path, counts: Iterable[str]) -> ErrorList:
    """Numbers that must not be negative; absent ones are fine."""
    return [error for field in counts for error in nonnegative(owner.get(field) or 0, path.child(field))]


def not_above(status: Fields, limit: str, counts: Iterable[str], shown: str) -> ErrorList:
    """Counters of a status that may not exceed another one."""
    top = status.get(limit) or 0
    return [
        fields.invalid(STATUS.child(field), status.get(field) or 0, f"cannot be greater than {shown}")
        for field in counts
        if (status.get(field) or 0) > top
    ]


def collision_count_decremented(new: Fields, old: Fields) -> ErrorList:
    after, before = new.get("collisionCount"), old.get("collisionCount")
    if before is None or (after is not None and after >= before):
        return []
    return [fields.invalid(STATUS.child("collisionCount"), after or 0, "cannot be decremented")]


def validate_selector(selector: Fields | None, path: Path, noun: str) -> ErrorList:
    """A selector that must be given and must select something."""
    if selector is None:
        return [fields.required(path)]
    errors = validate_label_selector(selector, path)
    if is_empty(selector):
        errors.append(fields.invalid(path, shown_selector(selector), f"empty selector is invalid for {noun}"))
    return errors


def usable_selector(selector: Fields | None) -> Selector | None:
    """The selector as a matcher; None when it makes no sense."""
    if validate_label_selector(selector, Path()):
        return None
    return from_label_selector(selector)


def validate_template_matches(selector: Selector, template: Fields, path: Path) -> ErrorList:
    """``path`` is that of the template."""
    labels = (template.get("metadata") or {}).get("labels")
    if selector.empty or selector.matches(labels or {}):
        return []
    return [fields.invalid(path.child("metadata", "labels"), shown_map(labels), MISMATCH)]


def validate_running_template(template: Fields, replicas: int, path: Path, noun: str) -> ErrorList:
    """A template whose pods run for ever: the pod spec, the restart policy, no deadline."""
    spec = template.get("spec") or {}
    errors = validate_template_spec(template, path)
    if replicas > 1:
        errors += _validate_disks(spec, path.child("spec", "volumes"))
    return errors + validate_runs_for_ever(spec, path.child("spec"), noun)


def validate_runs_for_ever(spec: Fields, path: Path, noun: str) -> ErrorList:
    errors: ErrorList = []
    if spec.get("restartPolicy") != "Always":
        policy = spec.get("restartPolicy") or ""
        errors.append(fields.not_supported(path.child("restartPolicy"), policy, ["Always"]))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {noun} is not Supported"
        errors.append(fields.forbidden(path.child("activeDeadlineSeconds"), detail))
    return errors


def _validate_disks(spec: Fields, path: Path) -> ErrorList:
    return [
        fields.invalid(path.index(i).child("gcePersistentDisk", "readOnly"), False, _DISK)
        for i, volume in enumerate(spec.get("volumes") or ())
        if volume.get("gcePersistentDisk") is not None and not volume["gcePersistentDisk"].get("readOnly")
    ]


def name_warnings(name: str) -> list[str]:
    """Controllers whose name ends up in the names of pods."""
    messages = names.is_dns1123_label(name)
    if not messages:
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
        f"a DNS label is recommended: [{' '.join(messages)}]"
    ]


def template_warnings(template: Fields | None, path: Path = TEMPLATE) -> list[str]:
    if template is None:
        return []
    return pod_warnings(template.get("spec") or {}, template.get("metadata") or {}, path, template=True)
