"""Carries out a job's plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.job import jobpods
from controllers.job.plan import Plan, plan
from controllers.lib.batches import together
from controllers.lib.collection import Collection
from controllers.lib.owners import CONTROLLER_UID, ORPHANS, carry_out, orphans_of, plan_claim
from controllers.lib.podcontrol import PodControl
from kubeling.api import selectors
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import Key, Object, controller_of, key_of, labels_of, namespace_of, uid_of
from kubeling.api.resources import JOBS, PODS
from kubeling.client.backoff import KeyedBackoff
from kubeling.client.clock import Clock
from kubeling.client.controller import Result
from kubeling.client.events import EventRecorder
from kubeling.client.rest import PatchKind
from kubeling.client.store import by_controller

COMPONENT = "job-controller"
MANAGER = "kubernetes.io/job-controller"
RETRY_SECONDS = 1.0, 60.0
"""After a failed request: the first pause and the longest."""


class JobReconciler:
    """Runs each job's pods and counts them."""

    def __init__(
        self, jobs: Collection, pods: Collection, control: PodControl, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._pods = pods
        self._control = control
        self._recorder = recorder
        self._clock = clock

    async def reconcile(self, key: Key) -> Result | None:
        job = self._jobs.get(key)
        if job is None:
            await self._let_go(key)
            return None
        if job["spec"].get("managedBy", MANAGER) != MANAGER:
            return None
        selector = selectors.from_label_selector(job["spec"].get("selector"))
        candidates = self._pods.store.by_index(CONTROLLER_UID, uid_of(job))
        orphans = self._pods.store.by_index(ORPHANS, key.namespace)
        claim = plan_claim(job, selector, [*candidates, *orphans])
        await self._release(p for p in orphans if _is_of(p, key.name) and p not in claim.adopt)
        pods = await carry_out(claim, job, self._jobs, self._pods, jobpods.FINALIZER)
        decided = plan(job, pods, self._clock.now())
        await self._act(job, decided)
        return Result(max(decided.requeue_after, 0.01)) if decided.requeue_after is not None else None

    async def _act(self, job: Object, decided: Plan) -> None:
        """The status first: a pod may lose its finalizer only when the status has it."""
        if decided.status != (job.get("status") or {}):
            job = await self._jobs.update_status({**job, "status": decided.status})
        for type_, reason, message in decided.events:
            self._recorder.event(job, type_, reason, message)
        failure = await together([*decided.unfinalize, *decided.release], self._unfinalize)
        failure = await self._control.delete_all(job, [*decided.release, *decided.delete]) or failure
        failure = await self._control.create_all(job, decided.create) or failure
        if failure is not None:
            raise failure

    async def _unfinalize(self, pod: Object) -> None:
        """Takes our finalizer from the pod; one that is gone is fine."""
        if not jobpods.has_finalizer(pod):
            return
        patch = {"metadata": {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [jobpods.FINALIZER]}}
        try:
            await self._pods.patch(pod, patch, kind=PatchKind.STRATEGIC)
        except StatusError as err:
            if not is_not_found(err):
                raise

    async def _let_go(self, key: Key) -> None:
        """The job is gone: nobody counts its pods any more."""
        await self._release(p for p in self._pods.store.list(key.namespace) if _is_of(p, key.name))

    async def _release(self, pods: Iterable[Object]) -> None:
        """Nobody counts these pods."""
        failure = await together([p for p in pods if jobpods.has_finalizer(p)], self._unfinalize)
        if failure is not None:
            raise failure


def _is_of(pod: Object, job_name: str) -> bool:
    reference = controller_of(pod)
    if reference is None:
        return labels_of(pod).get("batch.kubernetes.io/job-name", "") == job_name
    return bool(reference.get("kind") == "Job" and reference.get("name") == job_name)


class _PodEvents:
    """From pods to the jobs that own them, owned them, or could adopt them."""

    def __init__(self, jobs: Collection) -> None:
        self._jobs = jobs

    def keys(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        found = [key for pod in (old, new) if pod is not None for key in self._job(pod)]
        yield from dict.fromkeys(found)
        if new is not None and controller_of(new) is None and labels_of(new):
            for job in self._jobs.store.list(namespace_of(new)):
                if selectors.from_label_selector(job["spec"].get("selector")).matches(labels_of(new)):
                    yield key_of(job)

    def _job(self, pod: Object) -> Iterable[Key]:
        reference = controller_of(pod)
        if reference is not None and reference.get("kind") == "Job":
            yield Key(namespace_of(pod), reference["name"])
        elif reference is None and jobpods.has_finalizer(pod):
            yield Key(namespace_of(pod), labels_of(pod).get("batch.kubernetes.io/job-name", ""))


def build(context: Context) -> Sequence[Runnable]:
    jobs = context.collection(JOBS)
    pods = context.collection(PODS, indexers={CONTROLLER_UID: by_controller, ORPHANS: orphans_of})
    recorder = context.recorder(COMPONENT)
    reconciler = JobReconciler(jobs, pods, PodControl(pods, recorder), recorder, context.clock)
    controller = context.controller("job", reconciler, backoff=KeyedBackoff(*RETRY_SECONDS))
    controller.watch(jobs.informer)
    controller.watch(pods.informer, _PodEvents(jobs).keys)
    return [controller]


CONTROLLER = ControllerSpec(COMPONENT, build, alias="job", syncs="concurrent_job_syncs")
