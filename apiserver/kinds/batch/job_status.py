"""What the status of a Job may say, and how it may change (pkg/apis/batch/validation: validateJobStatus).

Most rules apply only when something they look at has changed, so that odd old statuses can still be updated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apiserver.kinds.batch.indexes import overlap, parse_indexes
from apiserver.kinds.batch.job_spec import INDEXED, without_value
from apiserver.kinds.validation.workloads import STATUS, validate_counts
from kubeling.api import fields
from kubeling.api.fields import ErrorList, FieldError
from kubeling.api.meta import Object, has_condition

Fields = Mapping[str, Any]
CONDITIONS = STATUS.child("conditions")
_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")


def _finished(job: Object) -> bool:
    return has_condition(job, "Complete") or has_condition(job, "Failed")


_FACTS: Mapping[str, Callable[[Object], Any]] = {
    "complete": lambda job: has_condition(job, "Complete"),
    "failed": lambda job: has_condition(job, "Failed"),
    "failure target": lambda job: has_condition(job, "FailureTarget"),
    "criteria": lambda job: has_condition(job, "SuccessCriteriaMet"),
    "finished": _finished,
    **{
        field: lambda job, field=field: (job.get("status") or {}).get(field)  # type: ignore[misc]
        for field in (
            "completionTime",
            "startTime",
            "active",
            "ready",
            "terminating",
            "uncountedTerminatedPods",
            "completedIndexes",
            "failedIndexes",
        )
    },
}
"""Names of what rules look at."""

Check = Callable[[Object, Fields], FieldError | None]


def _both(first: str, second: str, detail: str) -> Check:
    return lambda job, status: (
        without_value(CONDITIONS, detail) if has_condition(job, first) and has_condition(job, second) else None
    )


def _needs(condition: str, other: str, detail: str) -> Check:
    return lambda job, status: (
        without_value(CONDITIONS, detail) if has_condition(job, condition) and not has_condition(job, other) else None
    )


def _invalid_when(holds: Callable[[Object, Fields], bool], field: str, detail: str, *, required: bool = False) -> Check:
    def check(job: Object, status: Fields) -> FieldError | None:
        if not holds(job, status):
            return None
        at = STATUS.child(field)
        return fields.required(at, detail) if required else fields.invalid(at, status.get(field), detail)

    return check


def _indexes_error(job: Object, status: Fields, field: str) -> FieldError | None:
    completions, text = job["spec"].get("completions"), status.get(field)
    if completions is None or text is None:
        return None
    if field == "failedIndexes" and job["spec"].get("backoffLimitPerIndex") is None:
        return None
    try:
        parse_indexes(text, completions)
    except ValueError as error:
        return fields.invalid(STATUS.child(field), text, f"error parsing {field}: {error}")
    return None


def _overlap_error(job: Object, status: Fields) -> FieldError | None:
    completions = job["spec"].get("completions")
    completed, failed = status.get("completedIndexes"), status.get("failedIndexes")
    if completions is None or not completed or not failed:
        return None
    try:
        index = overlap(parse_indexes(completed, completions), parse_indexes(failed, completions))
    except ValueError:
        return None  # reported by the checks of each text
    if index is None:
        return None
    detail = f"failedIndexes and completedIndexes overlap at index: {index}"
    return fields.invalid(STATUS.child("failedIndexes"), failed, detail)


def _uncounted(status: Fields) -> bool:
    pods = status.get("uncountedTerminatedPods") or {}
    return bool(pods.get("failed") or pods.get("succeeded"))


_RULES: tuple[tuple[tuple[str, ...], Check], ...] = (
    (("complete", "failed"), _both("Complete", "Failed", "cannot set Complete=True and Failed=true conditions")),
    (
        ("complete", "failure target"),
        _both("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    ),
    (
        ("complete", "completionTime"),
        _invalid_when(
            lambda job, status: bool(status.get("completionTime")) and not has_condition(job, "Complete"),
            "completionTime",
            "cannot set completionTime when there is no Complete=True condition",
        ),
    ),
    (
        ("complete", "completionTime"),
        _invalid_when(
            lambda job, status: not status.get("completionTime") and has_condition(job, "Complete"),
            "completionTime",
            "completionTime is required for Complete jobs",
            required=True,
        ),
    ),
    (
        ("startTime", "completionTime"),
        _invalid_when(
            lambda job, status: (
                bool(status.get("startTime"))
                and bool(status.get("completionTime"))
                and status["completionTime"] < status["startTime"]
            ),
            "completionTime",
            "completionTime cannot be set before startTime",
        ),
    ),
    (
        ("failed", "failure target"),
        _needs("Failed", "FailureTarget", "cannot set Failed=True condition without the FailureTarget=true condition"),
    ),
    (
        ("complete", "criteria"),
        _needs(
            "Complete",
            "SuccessCriteriaMet",
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
    ),
    (
        ("finished", "active"),
        _invalid_when(
            lambda job, status: (status.get("active") or 0) > 0 and _finished(job),
            "active",
            "active>0 is invalid for finished job",
        ),
    ),
    (
        ("finished", "startTime"),
        _invalid_when(
            lambda job, status: not status.get("startTime") and _finished(job),
            "startTime",
            "startTime is required for finished job",
            required=True,
        ),
    ),
    (
        ("finished", "uncountedTerminatedPods"),
        _invalid_when(
            lambda job, status: _finished(job) and _uncounted(status),
            "uncountedTerminatedPods",
            "uncountedTerminatedPods needs to be empty for finished job",
        ),
    ),
    (("completedIndexes",), lambda job, status: _indexes_error(job, status, "completedIndexes")),
    (("failedIndexes",), lambda job, status: _indexes_error(job, status, "failedIndexes")),
    (
        ("completedIndexes",),
        _invalid_when(
            lambda job, status: bool(status.get("completedIndexes")) and job["spec"].get("completionMode") != INDEXED,
            "completedIndexes",
            "cannot set non-empty completedIndexes when non-indexed completion mode",
        ),
    ),
    (
        ("failedIndexes",),
        _invalid_when(
            lambda job, status: (
                status.get("failedIndexes") is not None and job["spec"].get("backoffLimitPerIndex") is None
            ),
            "failedIndexes",
            "cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        ),
    ),
    (("failedIndexes", "completedIndexes"), _overlap_error),
    (
        ("finished", "terminating"),
        _invalid_when(
            lambda job, status: (status.get("terminating") or 0) > 0 and _finished(job),
            "terminating",
            "terminating>0 is invalid for finished job",
        ),
    ),
    (
        ("ready", "active"),
        _invalid_when(
            lambda job, status: (status.get("ready") or 0) > (status.get("active") or 0),
            "ready",
            "cannot set more ready pods than active",
        ),
    ),
)
"""What has to have changed for a rule to apply, and the rule."""

_ALWAYS: tuple[Check, ...] = (
    _both("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    _both(
        "SuccessCriteriaMet", "FailureTarget", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
    ),
)


def validate_job_status(job: Object, old: Object) -> ErrorList:
    status = job.get("status") or {}
    errors = validate_counts(status, STATUS, _COUNTS) + _validate_uncounted(status)
    changed = {name for name, fact in _FACTS.items() if fact(job) != fact(old)}
    checks = [check for facts, check in _RULES if changed & set(facts)]
    errors += [error for check in (*checks, *_ALWAYS) if (error := check(job, status)) is not None]
    if job["spec"].get("successPolicy") is not None:
        unless = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        error = _needs("Complete", "SuccessCriteriaMet", unless)(job, status)
        errors += [error] if error is not None else []
    return errors + _validate_transition(job, old, changed)


def _validate_uncounted(status: Fields) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    pods = status.get("uncountedTerminatedPods") or {}
    for field in ("succeeded", "failed"):
        for i, uid in enumerate(pods.get(field) or ()):
            at = STATUS.child("uncountedTerminatedPods", field).index(i)
            if not uid:
                errors.append(fields.invalid(at, uid, "must not be empty"))
            elif uid in seen:
                errors.append(fields.duplicate(at, uid))
            seen.add(uid)
    return errors


def _validate_transition(job: Object, old: Object, changed: set[str]) -> ErrorList:
    errors: ErrorList = []
    status, before = job.get("status") or {}, old.get("status") or {}
    for kind in ("Failed", "Complete", "FailureTarget"):
        if has_condition(old, kind) and not has_condition(job, kind):
            errors.append(without_value(CONDITIONS, f"cannot disable the terminal {kind}=True condition"))
    counters = ["failed"] if job["spec"].get("completionMode") == INDEXED else ["failed", "succeeded"]
    for counter in counters:
        if (status.get(counter) or 0) < (before.get(counter) or 0):
            at = STATUS.child(counter)
            errors.append(fields.invalid(at, status.get(counter) or 0, f"cannot decrease the {counter} counter"))
    if status.get("completionTime") and before.get("completionTime") and "completionTime" in changed:
        at = STATUS.child("completionTime")
        errors.append(fields.invalid(at, status["completionTime"], "completionTime cannot be mutated"))
    if before.get("startTime") and "startTime" in changed and not job["spec"].get("suspend"):
        detail = "startTime cannot be removed for unsuspended job"
        errors.append(fields.required(STATUS.child("startTime"), detail))
    met, was_met = has_condition(job, "SuccessCriteriaMet"), has_condition(old, "SuccessCriteriaMet")
    if was_met and not met:
        errors.append(without_value(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    if has_condition(old, "Complete") and not was_met and met:
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(without_value(CONDITIONS, detail))
    return errors
