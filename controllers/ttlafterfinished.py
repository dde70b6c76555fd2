"""TTL after finished: jobs go some time after their end, with their pods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, condition_of, is_deleting, key_of, parse_time, resource_version_of
from kubeling.api.resources import JOBS
from kubeling.client.clock import Clock
from kubeling.client.controller import Result


def seconds_left(job: Object, now: datetime) -> float | None:
    """Seconds until the job may go; None when it has no time to live, has not ended, or is being deleted."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or is_deleting(job):
        return None
    for type_ in ("Complete", "Failed"):
        condition = condition_of(job, type_)
        if condition is not None and condition["status"] == "True":
            ended = parse_time(condition["lastTransitionTime"])
            return (ended + timedelta(seconds=int(ttl)) - now).total_seconds()
    return None


class TtlReconciler:
    """Deletes each job in time, after a last look at what the server has."""

    def __init__(self, jobs: Collection, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        job = self._jobs.get(key)
        left = seconds_left(job, self._clock.now()) if job is not None else None
        if left is None:
            return None
        if left > 0:
            return Result(left)
        try:
            fresh = await self._jobs.fetch(key)
            if (still := seconds_left(fresh, self._clock.now())) is None or still > 0:
                return Result(still) if still else None
            await self._jobs.delete(fresh, propagation_policy="Foreground", resource_version=resource_version_of(fresh))
        except StatusError as err:
            if not is_not_found(err):
                raise
        return None


def _with_ttl(old: Object | None, new: Object | None) -> Iterable[Key]:
    if new is not None and new["spec"].get("ttlSecondsAfterFinished") is not None:
        yield key_of(new)


def build(context: Context) -> Sequence[Runnable]:
    jobs = context.collection(JOBS)
    controller = context.controller("ttl_jobs_to_delete", TtlReconciler(jobs, context.clock))
    controller.watch(jobs.informer, _with_ttl)
    return [controller]


CONTROLLER = ControllerSpec(
    "ttl-after-finished-controller", build, alias="ttl-after-finished", syncs="concurrent_ttl_after_finished_syncs"
)
