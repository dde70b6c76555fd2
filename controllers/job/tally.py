"""Counting a job's pods so that each counts once, whatever happens in between. Pure.

A finished pod keeps its finalizer until the status names it as uncounted (or its index as completed); only after that is
the finalizer taken away; and only then does the name move into the counter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from controllers.job import indexes, jobpods
from controllers.job.policies import Match, match_failure
from controllers.lib.pods import is_active, is_finished, phase_of
from kubeling.api.meta import Object, is_deleting, uid_of

MAX_UNCOUNTED = 500  # names in one status: it must not grow too large


@dataclass
class Tally:
    """The pods by state, the counters as they shall be, and the finalizers that may go once they are stored.

    ``untold_…``: ended pods that the status does not name yet, because their finalizer stays for now. ``full``: among them are
    some for which the status has no room this time.
    """

    active: list[Object] = field(default_factory=list)
    terminating: list[Object] = field(default_factory=list)
    finished: list[Object] = field(default_factory=list)
    counted_succeeded: int = 0
    counted_failed: int = 0
    uncounted_succeeded: list[str] = field(default_factory=list)
    uncounted_failed: list[str] = field(default_factory=list)
    untold_succeeded: int = 0
    untold_failed: int = 0
    completed: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)
    unfinalize: list[Object] = field(default_factory=list)
    full: bool = False
    fail_message: str = ""

    @property
    def succeeded(self) -> int:
        return self.counted_succeeded + len(self.uncounted_succeeded) + self.untold_succeeded

    @property
    def failed(self) -> int:
        return self.counted_failed + len(self.uncounted_failed) + self.untold_failed


class Ending(Enum):
    """How the job ends, where that is announced already: what becomes of the pods that are deleted for it."""

    SUCCESS = "they count for nothing"
    FAILURE = "they have failed"


def count(job: Object, pods: Sequence[Object], ending: Ending | None) -> Tally:
    """The tally of the job's pods. With an ``ending`` no pod is needed for later decisions."""
    status = job.get("status") or {}
    completions = int(job["spec"].get("completions") or 0)
    tally = Tally(
        counted_succeeded=int(status.get("succeeded") or 0),
        counted_failed=int(status.get("failed") or 0),
        completed=indexes.parse(status.get("completedIndexes"), completions),
        failed_indexes=indexes.parse(status.get("failedIndexes"), completions),
    )
    _flush(tally, status.get("uncountedTerminatedPods") or {}, pods)
    for pod in pods:
        if is_active(pod):
            tally.active.append(pod)
        elif is_finished(pod):
            tally.finished.append(pod)
        else:
            tally.terminating.append(pod)
    _judge(job, tally, pods, ending)
    over = ending is not None or is_deleting(job)
    needed = set() if over else _last_failures(job, tally, pods)
    for pod in sorted(pods, key=lambda p: jobpods.index_of(p) or 0):
        if jobpods.has_finalizer(pod):
            _take_up(job, tally, pod, ending, stays=uid_of(pod) in needed or not _has_ended(job, pod, over))
    if jobpods.is_indexed(job):
        tally.counted_succeeded = len(tally.completed)
    return tally


def _flush(tally: Tally, uncounted: Mapping[str, Any], pods: Sequence[Object]) -> None:
    """Moves names whose pods have lost their finalizer into the counters."""
    held = {uid_of(pod) for pod in pods if jobpods.has_finalizer(pod)}
    for uid in uncounted.get("succeeded") or ():
        if uid in held:
            tally.uncounted_succeeded.append(uid)
        else:
            tally.counted_succeeded += 1
    for uid in uncounted.get("failed") or ():
        if uid in held:
            tally.uncounted_failed.append(uid)
        else:
            tally.counted_failed += 1


def _judge(job: Object, tally: Tally, pods: Sequence[Object], ending: Ending | None) -> None:
    """What newly ended pods mean for indexes and for the whole job."""
    known = {*tally.uncounted_succeeded, *tally.uncounted_failed}
    limit = jobpods.per_index_limit(job)
    for pod in pods:
        if not jobpods.has_finalizer(pod) or uid_of(pod) in known:
            continue
        index = _valid_index(job, pod)
        if phase_of(pod) == "Succeeded":
            if index is not None:
                tally.completed.add(index)
            continue
        match = _failure(job, pod, ending)
        if match is None:
            continue
        if match.action == "FailJob" and not tally.fail_message:
            tally.fail_message = match.message
        if limit is None or index is None or index in tally.completed:
            continue
        if match.action == "FailIndex" or jobpods.failures_of(pod).counted >= limit:
            tally.failed_indexes.add(index)


def _valid_index(job: Object, pod: Object) -> int | None:
    """The pod's index; None where the job has no such index, or none at all."""
    index = jobpods.index_of(pod) if jobpods.is_indexed(job) else None
    return index if index is not None and index < int(job["spec"].get("completions") or 0) else None


def _failure(job: Object, pod: Object, ending: Ending | None) -> Match | None:
    """What the pod's failure means; None where it has not failed, or where that counts for nothing."""
    if phase_of(pod) == "Succeeded" or not _counts_as_failed(job, pod, ending):
        return None
    match = match_failure(job, pod)
    outside = jobpods.is_indexed(job) and _valid_index(job, pod) is None
    return None if match.action == "Ignore" or outside else match


def _counts_as_failed(job: Object, pod: Object, ending: Ending | None) -> bool:
    if ending is None:
        return jobpods.has_failed(job, pod)
    return phase_of(pod) == "Failed" or (ending is Ending.FAILURE and is_deleting(pod))


def _has_ended(job: Object, pod: Object, over: bool) -> bool:
    return is_finished(pod) or jobpods.has_failed(job, pod) or (over and is_deleting(pod))


def _take_up(job: Object, tally: Tally, pod: Object, ending: Ending | None, *, stays: bool) -> None:
    """Names a pod with a finalizer in the status, and lets it go, unless it stays for now or the status is full."""
    uid, failed = uid_of(pod), _failure(job, pod, ending) is not None
    succeeded = phase_of(pod) == "Succeeded" and not jobpods.is_indexed(job)  # an index is told by the list of indexes
    if uid in tally.uncounted_succeeded or uid in tally.uncounted_failed:
        if not stays:
            tally.unfinalize.append(pod)
        return
    full = len(tally.uncounted_succeeded) + len(tally.uncounted_failed) >= MAX_UNCOUNTED
    if stays or full:
        tally.untold_succeeded += succeeded
        tally.untold_failed += failed
        tally.full = tally.full or not stays
        return
    tally.unfinalize.append(pod)
    if succeeded:
        tally.uncounted_succeeded.append(uid)
    elif failed:
        tally.uncounted_failed.append(uid)


def _last_failures(job: Object, tally: Tally, pods: Sequence[Object]) -> set[str]:
    """The pods that hold the number of failures of indexes whose next pod is still to be made."""
    if jobpods.per_index_limit(job) is None:
        return set()
    last: dict[int, Object] = {}
    for pod in pods:
        index = jobpods.index_of(pod)
        if index is None or index in tally.completed or index in tally.failed_indexes:
            continue
        if index not in last or jobpods.failures_of(pod).all >= jobpods.failures_of(last[index]).all:
            last[index] = pod
    return {uid_of(pod) for pod in last.values() if not is_active(pod)}
