"""Job (pkg/registry/batch/job, pkg/apis/batch)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.batch.job_spec import INDEXED, shown_field, validate_job_spec
from apiserver.kinds.batch.job_status import validate_job_status
from apiserver.kinds.batch.job_template import validate_template_update
from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import StatusStrategy, default_to
from apiserver.kinds.validation.meta import METADATA, immutable
from apiserver.kinds.validation.pod.defaults import default_template
from apiserver.kinds.validation.selectors import shown_map, shown_selector, validate_label_selector
from apiserver.kinds.validation.workloads import MISMATCH, SPEC, TEMPLATE, template_warnings, usable_selector
from apiserver.kinds.workloads import CONTAINERS, IMAGES, WorkloadStrategy, container_cells, selector_cell
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import fields, names
from kubeling.api.duration import human_duration
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, has_condition, is_deleting, name_of, parse_time, uid_of
from kubeling.api.resources import JOBS

Fields = Mapping[str, Any]
_PREFIX = "batch.kubernetes.io/"
UID_LABEL, NAME_LABEL = _PREFIX + "controller-uid", _PREFIX + "job-name"
_LEGACY_UID_LABEL, _LEGACY_NAME_LABEL = "controller-uid", "job-name"
_MAX_INT32 = 2**31 - 1
_MANY_COMPLETIONS, _MANY_PARALLEL = 100_000, 10_000
_MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
    "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)
_PODS_PRESERVED = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)
_IMMUTABLE = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def default_job_template(spec: Object) -> None:
    """The defaults of a job's spec that a CronJob's template gets, too."""
    default_template(spec.setdefault("template", {}))
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            default_to(pattern, "status", "True")


class JobStrategy(WorkloadStrategy):
    empty_status: Mapping[str, Any] = {}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = 1
        default_to(spec, "parallelism", 1)
        default_to(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else _MAX_INT32)
        default_to(spec, "completionMode", "NonIndexed")
        default_to(spec, "suspend", False)
        default_to(spec, "manualSelector", False)
        replaced = "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed"
        default_to(spec, "podReplacementPolicy", replaced)
        default_job_template(spec)
        _default_labels(obj)
        obj.setdefault("status", {})

    def default_orphan(self, obj: Object) -> bool:
        return True

    def warnings_on_delete(self, obj: Object, options: Object) -> list[str]:
        if options.get("propagationPolicy") is not None or options.get("orphanDependents") is not None:
            return []
        return [_PODS_PRESERVED]

    def prepare_for_create(self, ctx: Context, obj: Object) -> None:
        super().prepare_for_create(ctx, obj)
        _generate_selector(obj)

    def canonicalize(self, obj: Object) -> None:
        """Upstream defaults objects again whenever it reads them from storage: the generated labels show up then."""
        _default_labels(obj)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        spec = obj["spec"]
        errors = _validate_generated_selector(obj) + _validate_spec(spec)
        completions = spec.get("completions") or 0
        if spec.get("completionMode") == INDEXED and completions > 0:
            last = f"{name_of(obj)}-{completions - 1}"
            if names.is_dns1123_label(last):
                detail = f"will not able to create pod with invalid DNS label: {last}"
                errors.append(fields.invalid(METADATA.child("name"), name_of(obj), detail))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = self.validate(ctx, obj) + _validate_spec(obj["spec"])
        return errors + _validate_spec_update(obj["spec"], old)

    def spec_warnings(self, obj: Object) -> list[str]:
        return job_spec_warnings(obj["spec"], SPEC)


def job_spec_warnings(spec: Fields, path: Path) -> list[str]:
    warnings: list[str] = []
    many = (spec.get("completions") or 0) > _MANY_COMPLETIONS and (spec.get("parallelism") or 0) > _MANY_PARALLEL
    if spec.get("completionMode") == INDEXED and many:
        warnings.append(f"{path}: {_MANY_INDEXES}")
    return warnings + template_warnings(spec.get("template"), path.child("template"))


def _default_labels(job: Object) -> None:
    """A job without labels takes those of its pods."""
    labels = (job["spec"]["template"].get("metadata") or {}).get("labels")
    meta = job.setdefault("metadata", {})
    if labels and not meta.get("labels"):
        meta["labels"] = labels


def _generate_selector(job: Object) -> None:
    """Pods are told by the job's uid, unless the user asked to choose."""
    spec, uid = job["spec"], uid_of(job)
    meta = spec["template"].setdefault("metadata", {})
    if spec.get("manualSelector"):
        return
    generated = {
        _LEGACY_NAME_LABEL: name_of(job),
        NAME_LABEL: name_of(job),
        _LEGACY_UID_LABEL: uid,
        UID_LABEL: uid,
    }
    own = job["metadata"]
    shared = own.get("labels") is not None and own["labels"] is meta.get("labels")
    meta["labels"] = generated | (meta.get("labels") or {})
    if shared:  # the labels come from the template: upstream's two are one map, and the additions show up in both
        own["labels"] = dict(meta["labels"])
    selector = spec["selector"] = spec.get("selector") or {}
    selector["matchLabels"] = {UID_LABEL: uid} | (selector.get("matchLabels") or {})


def _validate_has_label(job: Object, key: str, value: str) -> ErrorList:
    labels = (job["spec"]["template"].get("metadata") or {}).get("labels") or {}
    at = TEMPLATE.child("metadata", "labels").key(key)
    if key not in labels:
        return [fields.required(at, f"must be '{value}'")]
    return [] if labels[key] == value else [fields.invalid(at, shown_map(labels), f"must be '{value}'")]


def _validate_generated_selector(job: Object) -> ErrorList:
    spec = job["spec"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    uid, name = uid_of(job), name_of(job)
    expected = {_LEGACY_UID_LABEL: uid, _LEGACY_NAME_LABEL: name, UID_LABEL: uid, NAME_LABEL: name}
    errors = [fields.required(METADATA.child("uid"))] if not uid else []
    for key, value in expected.items():
        errors += _validate_has_label(job, key, value)
    selector = usable_selector(spec["selector"])
    if selector is not None and not selector.matches(expected):
        errors.append(
            fields.invalid(SPEC.child("selector"), shown_selector(spec["selector"]), "`selector` not auto-generated")
        )
    return errors


def _validate_spec(spec: Fields) -> ErrorList:
    errors = validate_job_spec(spec, SPEC)
    selector = spec.get("selector")
    if selector is None:
        errors.append(fields.required(SPEC.child("selector")))
    else:
        errors += validate_label_selector(selector, SPEC.child("selector"))
    usable, labels = usable_selector(selector), (spec["template"].get("metadata") or {}).get("labels")
    if usable is not None and not usable.matches(labels or {}):
        errors.append(fields.invalid(TEMPLATE.child("metadata", "labels"), shown_map(labels), MISMATCH))
    return errors


def _validate_spec_update(spec: Fields, old: Object) -> ErrorList:
    before = old["spec"]
    errors = _validate_completions(spec, before)
    errors += immutable(
        shown_selector(spec.get("selector")), shown_selector(before.get("selector")), SPEC.child("selector")
    )
    errors += validate_template_update(spec["template"], old)
    for field in _IMMUTABLE:
        errors += immutable(
            shown_field(field, spec.get(field)), shown_field(field, before.get(field)), SPEC.child(field)
        )
    return errors


def _validate_completions(spec: Fields, before: Fields) -> ErrorList:
    new, old, at = spec.get("completions"), before.get("completions"), SPEC.child("completions")
    if spec.get("completionMode") != INDEXED:
        return immutable(new, old, at)
    if new == old or new is None or new == spec.get("parallelism"):
        return []
    return [fields.invalid(at, new, "can only be modified in tandem with spec.parallelism")]


class JobStatusStrategy(StatusStrategy):
    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return validate_job_status(obj, old)


def _status_text(job: Object) -> str:
    for condition, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        if has_condition(job, condition):
            return shown
    if is_deleting(job):
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if has_condition(job, condition):
            return condition
    return "Running"


def _completions_text(spec: Fields, succeeded: int) -> str:
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration_text(status: Fields, now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return human_duration(end - parse_time(status["startTime"]))


def _row(job: Object, now: datetime) -> list[Any]:
    spec, status = job.get("spec") or {}, job.get("status") or {}
    return [
        name_of(job),
        _status_text(job),
        _completions_text(spec, status.get("succeeded") or 0),
        _duration_text(status, now),
        age_of(job, now),
        *container_cells(spec.get("template")),
        selector_cell(spec.get("selector")),
    ]


JOB = Kind(
    JOBS,
    JobStrategy(),
    Printer(
        (
            NAME,
            column("Status", "Status of the job."),
            column("Completions", "batch.v1.JobStatus:succeeded"),
            column("Duration", "Time required to complete the job."),
            AGE,
            CONTAINERS,
            IMAGES,
            column("Selector", "batch.v1.JobSpec:selector", priority=1),
        ),
        _row,
    ),
    status=JobStatusStrategy(JobStrategy()),
    field_error='field label "{field}" not supported for Job',
    field_selectors={"status.successful": lambda job: str((job.get("status") or {}).get("succeeded") or 0)},
)
