"""CronJob: a job at each time that a schedule names.

Source of the rules: the CronJob documentation and kubernetes/pkg/controller/cronjob.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from controllers.context import Context, ControllerSpec, Runnable
from controllers.job.finish import is_finished
from controllers.lib.collection import Collection
from controllers.lib.owners import CONTROLLER_UID
from controllers.lib.podcontrol import is_namespace_terminating
from kubeling.api import cron
from kubeling.api.errors import StatusError, is_already_exists, is_not_found
from kubeling.api.meta import (
    Key,
    Object,
    controller_of,
    has_condition,
    is_controlled_by,
    is_deleting,
    name_of,
    namespace_of,
    object_reference,
    owner_reference,
    parse_time,
    rfc3339,
    uid_of,
)
from kubeling.api.resources import CRON_JOBS, JOBS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.store import by_controller

COMPONENT = "cronjob-controller"
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
TOO_MANY = 100
GRACE = timedelta(milliseconds=100)  # a schedule's second is surely over


@dataclass
class Plan:
    """``create``: the job to start; ``replace``: running jobs to end first; ``prune``: old jobs beyond the limits."""

    status: Object
    create: Object | None = None
    scheduled: datetime | None = None
    replace: list[Object] = field(default_factory=list)
    prune: list[Object] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    requeue_after: float | None = None


def plan(owner: Object, jobs: Sequence[Object], now: datetime) -> Plan:
    """What to do for a CronJob now. ``jobs`` are those that it controls."""
    made = Plan(deepcopy(owner.get("status") or {}), prune=_beyond_limits(owner, jobs))
    _follow_jobs(made, owner, jobs)
    if is_deleting(owner):
        return made
    try:
        zone = _zone(owner)
        if owner["spec"].get("suspend"):
            return made
        schedule = _schedule(owner)
    except ValueError as err:
        reason = "UnknownTimeZone" if isinstance(err, _UnknownZone) else "UnparseableSchedule"
        made.events.append(("Warning", reason, str(err)))
        return made
    due, missed_many = _last_due(owner, schedule, now.astimezone(zone))
    if missed_many:
        text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        made.events.append(("Warning", "TooManyMissedTimes", text))
    following = schedule.next(now.astimezone(zone))
    if following is not None:
        made.requeue_after = (following - now + GRACE).total_seconds()
    if due is not None:
        _start(made, owner, jobs, due.astimezone(UTC), now)
    return made


class _UnknownZone(ValueError):
    pass


def _zone(owner: Object) -> ZoneInfo:
    zone = owner["spec"].get("timeZone")
    try:
        return ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise _UnknownZone(f'invalid timeZone: "{zone}": unknown time zone {zone}') from err


def _schedule(owner: Object) -> cron.Schedule:
    text = owner["spec"]["schedule"]
    try:
        return cron.parse(text)
    except cron.CronError as err:
        raise ValueError(f'unparseable schedule: "{text}" : {err}') from err


def _last_due(owner: Object, schedule: cron.Schedule, now: datetime) -> tuple[datetime | None, bool]:
    """The latest time at or before ``now`` that was not yet acted on; and whether very many were missed."""
    last = (owner.get("status") or {}).get("lastScheduleTime")
    earliest = parse_time(last or owner["metadata"]["creationTimestamp"])
    deadline = owner["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=int(deadline)))
    moment = schedule.next(earliest.astimezone(now.tzinfo))
    due, number = None, 0
    if moment is not None and schedule.every is None:
        jump = _near_the_end(schedule, moment, now)
        number, moment = (TOO_MANY + 1, jump) if jump is not None else (0, moment)
    while moment is not None and moment <= now:
        due, number = moment, number + 1
        moment = schedule.next(moment)
    return due, number > TOO_MANY and deadline is None


def _near_the_end(schedule: cron.Schedule, first: datetime, now: datetime) -> datetime | None:
    """A later time to search from when very many lie before ``now``; None when there are few."""
    second = schedule.next(first)
    if second is None or second > now or (now - first) / (second - first) <= TOO_MANY:
        return None
    return schedule.next(now - 10 * (second - first)) if now - 10 * (second - first) > first else None


def _start(made: Plan, owner: Object, jobs: Sequence[Object], due: datetime, now: datetime) -> None:
    deadline = owner["spec"].get("startingDeadlineSeconds")
    if deadline is not None and due + timedelta(seconds=int(deadline)) < now:
        made.events.append(("Warning", "MissSchedule", f"Missed scheduled time to start a job: {_http_date(due)}"))
        return
    active = made.status.get("active") or ()
    if any(a.get("name") == _job_name(owner, due) for a in active):
        return  # this time's job runs already
    policy = owner["spec"].get("concurrencyPolicy") or "Allow"
    if policy == "Forbid" and active:
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        made.events.append(("Normal", "JobAlreadyActive", text))
        return
    if policy == "Replace":
        listed = {a.get("uid") for a in active}
        made.replace = [job for job in jobs if uid_of(job) in listed]
    made.create = job_for(owner, due)
    made.scheduled = due


def _job_name(owner: Object, due: datetime) -> str:
    return f"{name_of(owner)}-{int(due.timestamp()) // 60}"


def job_for(owner: Object, due: datetime) -> Object:
    """The job of a scheduled time; its name is the same however often it is made."""
    template = owner["spec"]["jobTemplate"]
    metadata = deepcopy(template.get("metadata") or {})
    zone = owner["spec"].get("timeZone") or "UTC"
    annotations = {**(metadata.get("annotations") or {}), SCHEDULED_AT: _offset(due.astimezone(ZoneInfo(zone)))}
    return {
        "metadata": {
            **{k: v for k, v in metadata.items() if k in ("labels",)},
            "annotations": annotations,
            "name": _job_name(owner, due),
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": deepcopy(template["spec"]),
    }


def _offset(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _http_date(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S +0000")


def _follow_jobs(made: Plan, owner: Object, jobs: Sequence[Object]) -> None:
    """Keeps ``active`` and ``lastSuccessfulTime`` true, and tells what became of jobs."""
    status, known = made.status, {uid_of(j): j for j in jobs}
    active = list(status.get("active") or ())
    listed = {a.get("uid") for a in active}
    for job in jobs:
        if uid_of(job) not in listed and not is_finished(job):
            text = f"Saw a job that the controller did not create or forgot: {name_of(job)}"
            made.events.append(("Warning", "UnexpectedJob", text))
        elif uid_of(job) in listed and is_finished(job):
            ended = "Complete" if has_condition(job, "Complete") else "Failed"
            made.events.append(("Normal", "SawCompletedJob", f"Saw completed job: {name_of(job)}, condition: {ended}"))
        _note_success(status, job)
    for reference in active:
        if reference.get("uid") not in known:
            made.events.append(("Normal", "MissingJob", f"Active job went missing: {reference.get('name')}"))
    kept = [a for a in active if a.get("uid") in known and not is_finished(known[a["uid"]])]
    if kept:
        status["active"] = kept
    else:
        status.pop("active", None)


def _note_success(status: Object, job: Object) -> None:
    at = (job.get("status") or {}).get("completionTime")
    last = status.get("lastSuccessfulTime")
    if has_condition(job, "Complete") and at and (not last or parse_time(at) > parse_time(last)):
        status["lastSuccessfulTime"] = at


def _beyond_limits(owner: Object, jobs: Sequence[Object]) -> list[Object]:
    chosen: list[Object] = []
    for field_name, type_ in (("successfulJobsHistoryLimit", "Complete"), ("failedJobsHistoryLimit", "Failed")):
        limit = owner["spec"].get(field_name)
        if limit is None:
            continue
        ended = [j for j in jobs if has_condition(j, type_) and not is_deleting(j)]
        ended.sort(key=lambda j: ((j.get("status") or {}).get("startTime") or "", name_of(j)))
        chosen += ended[: max(0, len(ended) - int(limit))]
    return chosen


class CronJobReconciler:
    """Starts jobs in time."""

    def __init__(self, owners: Collection, jobs: Collection, recorder: EventRecorder, clock: Clock) -> None:
        self._owners = owners
        self._jobs = jobs
        self._recorder = recorder
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        owner = self._owners.get(key)
        if owner is None:
            return None
        jobs = self._jobs.store.by_index(CONTROLLER_UID, uid_of(owner))
        decided = plan(owner, jobs, self._clock.now())
        for type_, reason, message in decided.events:
            self._recorder.event(owner, type_, reason, message)
        for job in decided.prune:
            if await self._delete(owner, job):
                self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted job {name_of(job)}")
        for job in decided.replace:
            if await self._delete(owner, job):
                self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted job {name_of(job)}")
            remaining = [a for a in decided.status.get("active") or () if a.get("uid") != uid_of(job)]
            decided.status["active"] = remaining
        if decided.create is not None:
            await self._create(owner, decided)
        if decided.status != (owner.get("status") or {}):
            await self._owners.update_status({**owner, "status": decided.status})
        return Result(decided.requeue_after) if decided.requeue_after is not None else None

    async def _create(self, owner: Object, decided: Plan) -> None:
        wanted = decided.create or {}
        try:
            job = await self._jobs.create(wanted)
        except StatusError as err:
            if is_namespace_terminating(err):
                return
            if not is_already_exists(err):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating job: {err}")
                raise
            job = await self._jobs.fetch(Key(namespace_of(wanted), name_of(wanted)))
            if not is_controlled_by(job, owner):
                raise
        else:
            self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created job {name_of(job)}")
        if not is_finished(job):
            active = [a for a in decided.status.get("active") or () if a.get("uid") != uid_of(job)]
            decided.status["active"] = [*active, object_reference(job)]
        if decided.scheduled is not None:
            decided.status["lastScheduleTime"] = rfc3339(decided.scheduled)

    async def _delete(self, owner: Object, job: Object) -> bool:
        try:
            return await self._jobs.delete(job, propagation_policy="Background")
        except StatusError as err:
            if is_not_found(err):
                return False
            self._recorder.event(owner, "Warning", "FailedDelete", f"Deleted job: {err}")
            raise


def _owner_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    for job in (old, new):
        reference = controller_of(job) if job is not None else None
        if job is not None and reference is not None and reference.get("kind") == "CronJob":
            yield Key(namespace_of(job), reference["name"])


def build(context: Context) -> Sequence[Runnable]:
    owners = context.collection(CRON_JOBS)
    jobs = context.collection(JOBS, indexers={CONTROLLER_UID: by_controller})
    reconciler = CronJobReconciler(owners, jobs, context.recorder(COMPONENT), context.clock)
    controller = context.controller("cronjob", reconciler)
    controller.watch(owners.informer)
    controller.watch(jobs.informer, _owner_of)
    return [controller]


CONTROLLER = ControllerSpec(COMPONENT, build, alias="cronjob", syncs="concurrent_cron_job_syncs")
