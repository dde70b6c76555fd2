"""What to do next for a job: pure, from the job, its pods and the time."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from controllers.job import finish, indexes, jobpods
from controllers.job.finish import FAILURE_TARGET, SUCCESS_TARGET, Verdict
from controllers.job.policies import match_failure
from controllers.job.tally import Ending, Tally, count
from controllers.lib.pods import is_active, is_ready, phase_of
from controllers.lib.ranking import deletion_order
from kubeling.api.meta import Object, has_condition, is_deleting, rfc3339, uid_of, with_condition

MAX_CHANGED = 500  # pods made or ended in one step
BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 10.0, 600.0


@dataclass
class Plan:
    """Carry it out in this order: write ``status``, ``unfinalize``, ``release`` (no longer counted, then deleted),
    ``delete``, ``create``."""

    status: Object
    unfinalize: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    create: list[Object] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    requeue_after: float | None = None


def plan(job: Object, pods: Sequence[Object], now: datetime) -> Plan:
    """The next step of a job."""
    if finish.is_finished(job):
        held = [p for p in pods if jobpods.has_finalizer(p)]
        return Plan(job.get("status") or {}, unfinalize=[p for p in held if not is_active(p)])
    job = _started(job, now)
    said = finish.announced(job)
    tally = count(job, pods, _ending(said))
    verdict = said or finish.failure(job, tally, now) or finish.success(job, tally)
    made = Plan(deepcopy(job.get("status") or {}), unfinalize=tally.unfinalize)
    suspended = bool(job["spec"].get("suspend")) and not is_deleting(job)
    if verdict is not None:
        made.delete = list(tally.active)
    elif suspended:
        made.release = list(tally.active)
    elif not is_deleting(job):
        _manage(made, job, tally, now)
    _write_status(made, job, tally, verdict, now)
    if verdict is None:
        _tell_suspension(made, job, suspended, now)
        _deadline(made, job, now)
    return made


def _ending(said: Verdict | None) -> Ending | None:
    if said is None:
        return None
    return Ending.SUCCESS if said.success else Ending.FAILURE


def _started(job: Object, now: datetime) -> Object:
    """The job with its start time, set when it first may run."""
    status = job.get("status") or {}
    if status.get("startTime") or job["spec"].get("suspend"):
        return job
    return {**job, "status": {**status, "startTime": rfc3339(now)}}


def _manage(made: Plan, job: Object, tally: Tally, now: datetime) -> None:
    """Brings the active pods to what parallelism and completions want."""
    spec = job["spec"]
    parallelism = int(spec["parallelism"]) if spec.get("parallelism") is not None else 1
    active = len(tally.active)
    if spec.get("completions") is None:
        wanted = active if tally.succeeded > 0 else parallelism
    else:
        wanted = min(max(0, int(spec["completions"]) - tally.succeeded), parallelism)
    made.release = _surplus(job, tally, max(0, active - wanted), now)
    if made.release:
        return  # what these pods leave free is filled once they are seen to go
    held = active + (len(tally.terminating) if jobpods.only_replaces_failed(job) else 0)
    missing = min(wanted - held, MAX_CHANGED)
    if missing <= 0:
        return
    if jobpods.is_indexed(job):
        _create_indexed(made, job, tally, missing, now)
    else:
        wait = _job_backoff(job, tally, now)
        if wait > 0:
            made.requeue_after = wait
        else:
            made.create = [jobpods.new_pod(job, None)] * missing


def _surplus(job: Object, tally: Tally, number: int, now: datetime) -> list[Object]:
    """Active pods to end: indexes that are out of range or held twice, then the least useful ones."""
    chosen: list[Object] = []
    if jobpods.is_indexed(job):
        completions, seen = int(job["spec"].get("completions") or 0), set[int]()
        for pod in reversed(deletion_order(tally.active, [], now)):
            index = jobpods.index_of(pod)
            if index is None or index >= completions or index in seen or index in tally.completed:
                chosen.append(pod)
            else:
                seen.add(index)
    rest = [pod for pod in tally.active if pod not in chosen]
    more = max(0, number - len(chosen))
    return (chosen + deletion_order(rest, [], now)[:more])[:MAX_CHANGED]


def _create_indexed(made: Plan, job: Object, tally: Tally, missing: int, now: datetime) -> None:
    """Pods for the lowest indexes that have none. Where failures count by index each waits for its own back-off, in a place
    that no other index takes meanwhile."""
    per_index = jobpods.per_index_limit(job) is not None
    if not per_index and (wait := _job_backoff(job, tally, now)) > 0:
        made.requeue_after = wait
        return
    taken = tally.completed | tally.failed_indexes | {i for p in tally.active if (i := jobpods.index_of(p)) is not None}
    if jobpods.only_replaces_failed(job):
        taken |= {i for p in tally.terminating if (i := jobpods.index_of(p)) is not None}
    last = _last_failed(tally) if per_index else {}
    free = (index for index in range(int(job["spec"].get("completions") or 0)) if index not in taken)
    for index in islice(free, missing):
        failures = _failures_until(job, last[index]) if index in last else jobpods.NO_FAILURES
        wait = _remaining(jobpods.finished_at(last[index], now), failures.all, now) if index in last else 0.0
        if wait > 0:
            made.requeue_after = min(wait, made.requeue_after or wait)
        else:
            made.create.append(jobpods.new_pod(job, index, failures))


def _failures_until(job: Object, pod: Object) -> jobpods.Failures:
    """The failures of an index, this pod's included."""
    counted, ignored = jobpods.failures_of(pod)
    if jobpods.has_failed(job, pod) and match_failure(job, pod).action == "Ignore":
        return jobpods.Failures(counted, ignored + 1)
    return jobpods.Failures(counted + 1, ignored)


def _last_failed(tally: Tally) -> dict[int, Object]:
    """For each index its pod with the most failures, of those that have ended."""
    last: dict[int, Object] = {}
    for pod in [*tally.finished, *tally.terminating]:
        index = jobpods.index_of(pod)
        if index is None or phase_of(pod) == "Succeeded":
            continue
        if index not in last or jobpods.failures_of(pod).all > jobpods.failures_of(last[index]).all:
            last[index] = pod
    return last


def _job_backoff(job: Object, tally: Tally, now: datetime) -> float:
    """Seconds to wait after the failures since the last success."""
    ended = [(jobpods.finished_at(p, now), phase_of(p)) for p in tally.finished]
    successes = [at for at, phase in ended if phase == "Succeeded"]
    since = max(successes, default=None)
    failures = [at for at, phase in ended if phase == "Failed" and (since is None or at > since)]
    return _remaining(max(failures), len(failures), now) if failures else 0.0


def _remaining(ended: datetime, failures: int, now: datetime) -> float:
    if failures <= 0:
        return 0.0
    delay = min(BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10), MAX_BACKOFF_SECONDS)
    return delay - (now - ended).total_seconds()


def _write_status(made: Plan, job: Object, tally: Tally, verdict: Verdict | None, now: datetime) -> None:
    status = made.status
    removed = {uid_of(pod) for pod in [*made.delete, *made.release]}
    staying = [pod for pod in tally.active if uid_of(pod) not in removed]
    ending = len(tally.terminating) + len(removed)
    _put(status, "active", len(staying))
    _put(status, "succeeded", tally.counted_succeeded)
    _put(status, "failed", tally.counted_failed)
    status["terminating"], status["ready"] = ending, sum(is_ready(pod) for pod in staying)
    uncounted = {"succeeded": tally.uncounted_succeeded, "failed": tally.uncounted_failed}
    status["uncountedTerminatedPods"] = {k: v for k, v in uncounted.items() if v}
    if jobpods.is_indexed(job):
        _put(status, "completedIndexes", indexes.compress(tally.completed))
        if jobpods.per_index_limit(job) is not None:
            status["failedIndexes"] = indexes.compress(tally.failed_indexes)
    if verdict is not None:
        _finish(made, tally, verdict, ending, job["spec"].get("completions"), now)


def _put(status: Object, name: str, value: object) -> None:
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _finish(made: Plan, tally: Tally, verdict: Verdict, ending: int, completions: int | None, now: datetime) -> None:
    """Announces the verdict; makes it final once every pod has ended and is counted."""
    status = made.status
    target = SUCCESS_TARGET if verdict.success else FAILURE_TARGET
    why = (verdict.reason, verdict.message)
    conditions = status.get("conditions") or []
    if not has_condition({"status": status}, target):
        conditions = _condition(conditions, target, why, now)
    waiting = ending or tally.uncounted_succeeded or tally.uncounted_failed or tally.full
    if not waiting:
        conditions = _condition(conditions, "Complete" if verdict.success else "Failed", why, now)
        if verdict.success:
            status["completionTime"] = rfc3339(now)
            if completions is not None and status.get("succeeded", 0) > int(completions):
                text = "Too many succeeded pods running after completion count reached"
                made.events.append(("Warning", "TooManySucceededPods", text))
            made.events.append(("Normal", "Completed", "Job completed"))
        else:
            made.events.append(("Warning", *why))
    status["conditions"] = conditions


def _condition(conditions: list[Object], type_: str, why: tuple[str, str], now: datetime) -> list[Object]:
    return with_condition(conditions, type_, "True", now, *why, lastProbeTime=rfc3339(now))


def _tell_suspension(made: Plan, job: Object, suspended: bool, now: datetime) -> None:
    before = has_condition(job, "Suspended")
    if suspended == before:
        return
    status = made.status
    conditions = status.get("conditions") or []
    texts = ("True", "JobSuspended", "Job suspended"), ("False", "JobResumed", "Job resumed")
    value, reason, text = texts[0] if suspended else texts[1]
    status["conditions"] = with_condition(conditions, "Suspended", value, now, reason, text, lastProbeTime=rfc3339(now))
    if suspended:
        status.pop("startTime", None)
    else:
        status["startTime"] = rfc3339(now)
    made.events.append(("Normal", "Suspended" if suspended else "Resumed", text))


def _deadline(made: Plan, job: Object, now: datetime) -> None:
    remaining = finish.seconds_to_deadline({**job, "status": made.status}, now)
    if remaining is not None:
        made.requeue_after = min(remaining, made.requeue_after or remaining)
