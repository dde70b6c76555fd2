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
from controllers.job.policies import match_failure
from controllers.lib.pods import is_active, is_finished, phase_of
from kubeling.api.meta import Object, is_deleting, uid_of


@dataclass
class Tally:
    """The pods by state, the counters as they shall be, and the finalizers that may go once they are stored."""

    active: list[Object] = field(default_factory=list)
    terminating: list[Object] = field(default_factory=list)
    finished: list[Object] = field(default_factory=list)
    counted_succeeded: int = 0
    counted_failed: int = 0
    uncounted_succeeded: list[str] = field(default_factory=list)
    uncounted_failed: list[str] = field(default_factory=list)
    completed: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)
    unfinalize: list[Object] = field(default_factory=list)
    fail_message: str = ""

    @property
    def succeeded(self) -> int:
        return self.counted_succeeded + len(self.uncounted_succeeded)

    @property
    def failed(self) -> int:
        return self.counted_failed + len(self.uncounted_failed)


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
    _collect(job, tally, pods, ending)
    if jobpods.is_indexed(job):
        tally.counted_succeeded = len(tally.completed)
    _choose_finalizers(job, tally, pods, ending)
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


def _collect(job: Object, tally: Tally, pods: Sequence[Object], ending: Ending | None) -> None:
    known = {*tally.uncounted_succeeded, *tally.uncounted_failed}
    for pod in pods:
        if not jobpods.has_finalizer(pod) or uid_of(pod) in known:
            continue
        if phase_of(pod) == "Succeeded":
            _collect_success(job, tally, pod)
        elif _counts_as_failed(job, pod, ending):
            _collect_failure(job, tally, pod)


def _counts_as_failed(job: Object, pod: Object, ending: Ending | None) -> bool:
    if ending is None:
        return jobpods.has_failed(job, pod)
    return phase_of(pod) == "Failed" or (ending is Ending.FAILURE and is_deleting(pod))


def _collect_success(job: Object, tally: Tally, pod: Object) -> None:
    if not jobpods.is_indexed(job):
        tally.uncounted_succeeded.append(uid_of(pod))
        return
    index = jobpods.index_of(pod)
    if index is not None and index < int(job["spec"].get("completions") or 0):
        tally.completed.add(index)


def _collect_failure(job: Object, tally: Tally, pod: Object) -> None:
    match, index = match_failure(job, pod), jobpods.index_of(pod)
    if match.action == "Ignore":
        return
    if jobpods.is_indexed(job) and (index is None or index >= int(job["spec"].get("completions") or 0)):
        return
    if match.action == "FailJob" and not tally.fail_message:
        tally.fail_message = match.message
    tally.uncounted_failed.append(uid_of(pod))
    limit = jobpods.per_index_limit(job)
    if limit is None or index is None or index in tally.completed:
        return
    if match.action == "FailIndex" or jobpods.failures_of(pod).counted >= limit:
        tally.failed_indexes.add(index)


def _choose_finalizers(job: Object, tally: Tally, pods: Sequence[Object], ending: Ending | None) -> None:
    """Ended pods are let go; an index's last failed pod only when its count of failures is no longer needed."""
    over = ending is not None or is_deleting(job)
    needed = set() if over else _last_failures(job, tally, pods)
    for pod in pods:
        if not jobpods.has_finalizer(pod) or uid_of(pod) in needed:
            continue
        if is_finished(pod) or jobpods.has_failed(job, pod) or (over and is_deleting(pod)):
            tally.unfinalize.append(pod)


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
