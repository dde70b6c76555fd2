"""Whether and why a job ends. Pure; reasons and messages are upstream's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from controllers.job import jobpods
from controllers.job.policies import match_success
from controllers.job.tally import Tally
from controllers.lib.pods import phase_of
from kubeling.api.meta import Object, condition_of, parse_time

SUCCESS_TARGET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"


class Verdict(NamedTuple):
    """``success`` tells which of Complete and Failed it will be."""

    success: bool
    reason: str
    message: str


def is_finished(job: Object) -> bool:
    return any(_is_true(job, type_) for type_ in ("Complete", "Failed"))


def _is_true(job: Object, type_: str) -> bool:
    condition = condition_of(job, type_)
    return condition is not None and condition["status"] == "True"


def announced(job: Object) -> Verdict | None:
    """The verdict that the status already tells, while pods are still ending."""
    for type_, success in ((FAILURE_TARGET, False), (SUCCESS_TARGET, True)):
        condition = condition_of(job, type_)
        if condition is not None and condition["status"] == "True":
            return Verdict(success, condition.get("reason", ""), condition.get("message", ""))
    return None


def failure(job: Object, tally: Tally, now: datetime) -> Verdict | None:
    """Why the job has failed; None while it may yet succeed."""
    spec = job["spec"]
    limit = int(spec["backoffLimit"]) if spec.get("backoffLimit") is not None else 6
    if tally.fail_message:
        return Verdict(False, "PodFailurePolicy", tally.fail_message)
    if tally.failed > limit or _restarts_exceed(job, [*tally.active, *tally.terminating], limit):
        return Verdict(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    remaining = seconds_to_deadline(job, now)
    if remaining is not None and remaining <= 0:
        return Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline")
    if jobpods.per_index_limit(job) is None or not tally.failed_indexes:
        return None
    most, ended = spec.get("maxFailedIndexes"), tally.completed | tally.failed_indexes
    if most is not None and len(tally.failed_indexes) > int(most):
        text = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(False, "MaxFailedIndexesExceeded", text)
    if len(ended) >= int(spec["completions"]):
        return Verdict(False, "FailedIndexes", "Job has failed indexes")
    return None


def success(job: Object, tally: Tally) -> Verdict | None:
    """Whether the job's work is done; ask for ``failure`` first."""
    spec = job["spec"]
    if jobpods.is_indexed(job) and (text := match_success(job, tally.completed)):
        return Verdict(True, "SuccessPolicy", text)
    done = Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")
    if spec.get("completions") is None:
        return done if tally.succeeded > 0 and not tally.active else None
    return done if tally.succeeded >= int(spec["completions"]) and not tally.active else None


def seconds_to_deadline(job: Object, now: datetime) -> float | None:
    """Seconds until activeDeadlineSeconds are over; None without one, or before the start."""
    seconds, start = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if seconds is None or not start or job["spec"].get("suspend"):
        return None
    return (parse_time(start) + timedelta(seconds=int(seconds)) - now).total_seconds()


def _restarts_exceed(job: Object, pods: Iterable[Object], limit: int) -> bool:
    """Containers that restart in place count for the limit, too."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = 0
    for pod in pods:
        if phase_of(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
            restarts += sum(int(s.get("restartCount") or 0) for s in statuses)
    return restarts > 0 if limit == 0 else restarts >= limit
