"""CronJob (pkg/registry/batch/cronjob, pkg/apis/batch)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apiserver.kinds.batch.job import default_job_template, job_spec_warnings
from apiserver.kinds.batch.job_spec import validate_job_spec
from apiserver.kinds.printing import AGE, NAME, NONE, UNSET, age_of, column
from apiserver.kinds.strategies import StatusStrategy, default_to
from apiserver.kinds.validation.common import one_of
from apiserver.kinds.validation.meta import METADATA
from apiserver.kinds.validation.workloads import SPEC, validate_counts
from apiserver.kinds.workloads import CONTAINERS, IMAGES, WorkloadStrategy, container_cells, selector_cell
from apiserver.registry.kind import Context, Kind, Printer
from kubeling.api import cron, fields
from kubeling.api.duration import age
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, name_of
from kubeling.api.resources import CRON_JOBS

Fields = Mapping[str, Any]
JOB_SPEC = SPEC.child("jobTemplate", "spec")
_NAME_LIMIT = 52
"""A job's name is this one and eleven characters; it must fit into 63."""
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


class CronJobStrategy(WorkloadStrategy):
    revalidates_metadata = False
    empty_status: Mapping[str, Any] = {}

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_to(spec, "concurrencyPolicy", "Allow")
        default_to(spec, "suspend", False)
        default_to(spec, "successfulJobsHistoryLimit", 3)
        default_to(spec, "failedJobsHistoryLimit", 1)
        spec.setdefault("schedule", "")
        template = spec.setdefault("jobTemplate", {})
        template.setdefault("metadata", {})
        default_job_template(template.setdefault("spec", {}))
        obj.setdefault("status", {})

    def template_of(self, obj: Object) -> Object | None:
        template: Object | None = obj["spec"]["jobTemplate"]["spec"].get("template")
        return template

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        errors = self._validate_spec(obj["spec"], None)
        name = name_of(obj)
        if len(name) > _NAME_LIMIT:
            errors.append(fields.invalid(METADATA.child("name"), name, "must be no more than 52 characters"))
        return errors

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        return self._validate_spec(obj["spec"], old["spec"])

    def _validate_spec(self, spec: Fields, old: Fields | None) -> ErrorList:
        errors = _validate_schedule(spec, old, SPEC.child("schedule"))
        errors += validate_counts(spec, SPEC, ("startingDeadlineSeconds",))
        if old is None or spec.get("timeZone") != old.get("timeZone"):
            errors += _validate_zone(spec.get("timeZone"), SPEC.child("timeZone"))
        policy = spec.get("concurrencyPolicy")
        errors += one_of(policy, SPEC.child("concurrencyPolicy"), ["Allow", "Forbid", "Replace"])
        job = (spec.get("jobTemplate") or {}).get("spec") or {}
        errors += validate_job_spec(job, JOB_SPEC)
        if job.get("selector") is not None:
            detail = "`selector` will be auto-generated"
            errors.append(fields.invalid(JOB_SPEC.child("selector"), job["selector"], detail))
        if job.get("manualSelector"):
            errors.append(fields.not_supported(JOB_SPEC.child("manualSelector"), True, ["nil", "false"]))
        return errors + validate_counts(spec, SPEC, ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"))

    def spec_warnings(self, obj: Object) -> list[str]:
        warnings = job_spec_warnings(obj["spec"]["jobTemplate"]["spec"], JOB_SPEC)
        if "TZ" in (obj["spec"].get("schedule") or ""):
            link = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones"
            warnings.append(
                f"cannot use TZ or CRON_TZ in spec.schedule, use timeZone instead, see {link} for more details"
            )
        return warnings


def _validate_schedule(spec: Fields, old: Fields | None, path: Path) -> ErrorList:
    schedule = spec.get("schedule") or ""
    if not schedule:
        return [fields.required(path)]
    errors: ErrorList = []
    try:
        cron.parse(schedule)
    except cron.CronError as error:
        errors.append(fields.invalid(path, schedule, str(error)))
    if "TZ" not in schedule:
        return errors
    if old is None or "TZ" not in (old.get("schedule") or ""):
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(fields.invalid(path, schedule, detail))
    elif spec.get("timeZone") is not None:
        detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(fields.invalid(path, schedule, detail))
    return errors


def _validate_zone(zone: str | None, path: Path) -> ErrorList:
    if zone is None:
        return []
    if not zone:
        return [fields.invalid(path, zone, "timeZone must be nil or non-empty string")]
    unknown = fields.invalid(path, zone, f"unknown time zone {zone}")
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            return [unknown]
    errors: ErrorList = []
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(fields.invalid(path, zone, detail))
    if not _exists(zone):
        errors.append(unknown)
    return errors


def _exists(zone: str) -> bool:
    if zone == "Local":
        return True
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _row(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    suspend = {None: UNSET, True: "True", False: "False"}[spec.get("suspend")]
    last = status.get("lastScheduleTime")
    return [
        name_of(obj),
        spec.get("schedule") or "",
        spec.get("timeZone") or NONE,
        suspend,
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        age_of(obj, now),
        *container_cells(job.get("template")),
        selector_cell(job.get("selector")),
    ]


CRON_JOB = Kind(
    CRON_JOBS,
    CronJobStrategy(),
    Printer(
        (
            NAME,
            column("Schedule", "batch.v1.CronJobSpec:schedule"),
            column("Timezone", "batch.v1.CronJobSpec:timeZone"),
            column("Suspend", "batch.v1.CronJobSpec:suspend", "boolean"),
            column("Active", "batch.v1.CronJobStatus:active", "integer"),
            column("Last Schedule", "batch.v1.CronJobStatus:lastScheduleTime"),
            AGE,
            CONTAINERS,
            IMAGES,
            column("Selector", "batch.v1.JobSpec:selector", priority=1),
        ),
        _row,
    ),
    status=StatusStrategy(CronJobStrategy()),
)
