"""One pod on this node: a task that makes what runs match the newest spec, until the pod has gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from kubelet.dra.plugins import DraError
from kubelet.pods import spec as podspec
from kubelet.pods.actions import PodActions, pod_actions
from kubelet.pods.allocation import requested_resizes
from kubelet.pods.conditions import Verdict
from kubelet.pods.current import CurrentPod
from kubelet.pods.ground import PodGround
from kubelet.pods.kit import Kit
from kubelet.pods.metrics import RESIZES, WORKER_SECONDS
from kubelet.pods.pace import RESYNC
from kubelet.pods.phase import is_terminal
from kubelet.pods.report import PodReport
from kubelet.pods.runs import PodRuns
from kubelet.runtime.protocol import RuntimeFailure, RuntimeUnavailable
from kubelet.runtime.records import ContainerRecord, PodRecord
from kubelet.volumes.manager import VolumesNotReady
from kubeling.api.meta import Object, is_deleting, parse_time

log = logging.getLogger(__name__)

_RETRY_FIRST, _RETRY_MAX = 0.5, 30.0
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Give it the newest pod with ``update``, wake it when something happened, run it as a task."""

    def __init__(self, pod: Object, kit: Kit) -> None:
        self._kit = kit
        self._current = CurrentPod(pod, kit)
        self.ref = self._current.ref
        self._pace, self._end = self._current.pace, self._current.end
        self._report = PodReport(self._current, kit)
        self._ground = PodGround(self._current, kit)
        self._runs = PodRuns(self._current, kit, self._report, self._ground)
        self.ended = asyncio.Event()  # its containers have ended for good
        self.returns = False  # gone, and back already: the next life counts the containers of this one as restarts
        if is_deleting(pod):
            self._current.ask_end()

    # --- told from outside ---------------------------------------------------------------------------------------

    def update(self, pod: Object) -> None:
        """The newest pod; only the last one counts."""
        for labels in requested_resizes(self._current.pod, pod):
            RESIZES.labels(*labels).inc()
        self._current.pod = pod
        self._pace.forgive()
        if is_deleting(pod):
            self._current.ask_end()
            self._end.shorten(podspec.grace_period(pod))
        self._pace.wake()

    @property
    def pod(self) -> Object:
        """The newest version."""
        return self._current.pod

    @property
    def allocated(self) -> Object:
        """The pod with the resources that it may have now: a resize that waits is not in it."""
        return self._current.allocated

    @property
    def resizing(self) -> Mapping[str, Verdict]:
        """The conditions that tell how far a resize has come."""
        return self._current.allocation.conditions

    @property
    def waits_for_room(self) -> bool:
        return self._current.allocation.waits

    @property
    def ending(self) -> bool:
        return self._current.ending

    @property
    def gone(self) -> bool:
        """Its source has dropped it."""
        return self._end.gone

    def wake(self) -> None:
        self._pace.wake()

    def try_again(self) -> None:
        """The engine was away: what failed meanwhile is no reason to wait."""
        self._pace.reset()
        self._pace.wake()

    def refresh_volumes(self) -> None:
        """Something that the volumes show has changed."""
        self._ground.refresh()
        self._pace.forgive()
        self._pace.wake()

    def remove(self) -> None:
        """The pod has gone from its source: end it, with nothing left to report to."""
        self._end.gone = True
        self._current.ask_end()

    def fail(self, reason: str, message: str, grace: float | None = None, *, disruption: str = "") -> None:
        """Ends the pod as Failed: evicted, past its deadline, or with its node.

        ``disruption``: what its condition DisruptionTarget tells; empty when the fault is its own.
        """
        self._end.reason, self._end.message, self._end.disruption = reason, message, disruption
        if grace is not None:
            self._end.grace = grace
        self._current.ask_end()

    def refuse(self, reason: str, message: str) -> None:
        """The pod may not run here at all: nothing of it is made, nothing but this is told."""
        self._end.refused = True
        self.fail(reason, message)

    # --- the task ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the pod has gone from its source and left nothing behind."""
        if is_terminal(self.pod.get("status") or {}):
            self._current.ask_end()  # ended under an earlier kubelet
        while not self.ending:
            self._pace.clear()
            with WORKER_SECONDS.labels("sync").time():
                await self.unless_ending(self._sync_safely())
            await self._pace.sleep(lambda: self.ending)
        with WORKER_SECONDS.labels("terminating").time():
            await self._retry_until_done(self._terminate)
        self.ended.set()
        while not (is_deleting(self.pod) or self._end.gone):
            self._pace.clear()
            await self._settle_logs()
            await self._pace.woken()
        await self._retry_until_done(self._clean_up)

    async def _settle_logs(self) -> None:
        """A container of an ended pod may still go: somebody else removed it."""
        try:
            await self._kit.logs.settle(await self._current.observe())
        except RuntimeFailure as err:
            log.info("Logs of pod %s: %s", podspec.format_pod(self.pod), err)

    async def _retry_until_done(self, step: Callable[[], Awaitable[None]]) -> None:
        delay = _RETRY_FIRST
        while True:
            try:
                await step()
                return
            except RuntimeUnavailable as err:
                log.info("Ending pod %s: %s; going on when it does", podspec.format_pod(self.pod), err)
                self._pace.clear()
                await self._pace.woken_within(RESYNC)
                continue
            except (RuntimeFailure, OSError) as err:
                log.warning("Ending pod %s: %s; trying again", podspec.format_pod(self.pod), err)
                self._kit.recorder.event(self.pod, "Warning", "FailedKillPod", f"error killing pod: {err}")
            await self._kit.clock.sleep(delay)
            delay = min(delay * 2, _RETRY_MAX)

    async def unless_ending(self, step: Coroutine[Any, Any, None]) -> None:
        """Takes the step; it is broken off when the pod is to end. Everything that a sync does can be found again."""
        taken = asyncio.ensure_future(step)
        asked = asyncio.ensure_future(self._current.end_asked.wait())
        try:
            await asyncio.wait({taken, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (taken, asked):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await taken
            await asyncio.gather(asked, return_exceptions=True)

    async def _sync_safely(self) -> None:
        try:
            await self._sync()
            self._pace.succeeded()
        except VolumesNotReady as err:
            self._pace.retry_at(err.retry_at)
        except RuntimeUnavailable as err:  # no fault of the pod's: all workers are woken when the engine answers again
            log.info("Syncing pod %s: %s", podspec.format_pod(self.pod), err)
            self._pace.whenever()
        except RuntimeFailure as err:
            log.warning("Syncing pod %s: %s", podspec.format_pod(self.pod), err)
            self._pace.retry_later()

    # --- one sync ------------------------------------------------------------------------------------------------

    async def _sync(self) -> None:
        self._pace.begin()
        if self._past_deadline():
            self.fail("DeadlineExceeded", DEADLINE_MESSAGE)
            return
        self._current.allocation.consider(self.pod)
        observed = await self._current.observe()
        await self._kit.logs.settle(observed)
        actions = self._decide(observed)
        if observed.sandbox is None and not actions.create_sandbox:
            await self._report.publish(observed)
            return
        self._report.held_back(actions)
        await self._report.publish(observed, restarting=actions.restarting)
        if actions.kill_pod and actions.create_sandbox and (observed.running or observed.sandboxes):
            await self._runs.replace_sandbox(observed)
        await self._ground.prepare(actions)
        if actions.create_sandbox:
            observed = await self._current.observe()
            actions = self._decide(observed)
        await self._runs.act(actions, observed)
        restarting = actions.restarting and not actions.starts
        await self._report.publish(await self._current.observe(), restarting=restarting)
        self._pace.at(actions.wake_at)

    def _decide(self, observed: PodRecord) -> PodActions:
        verdicts = self._kit.probes.verdicts(self.ref.uid, observed)
        return pod_actions(self._report.base(), observed, verdicts, self._hold, self._kit.clock.now())

    def _hold(self, container: Object, record: ContainerRecord) -> datetime | None:
        key = self._current.backoff_key(container)
        return self._kit.backoff.until(key, record.finished_at or record.created_at)

    def _past_deadline(self) -> bool:
        seconds = podspec.spec_of(self.pod).get("activeDeadlineSeconds")
        if seconds is None:
            return False
        started = parse_time((self.pod.get("status") or {}).get("startTime") or self._current.start_time)
        due = started + timedelta(seconds=int(seconds))
        self._pace.at(due)
        return self._kit.clock.now() >= due

    # --- the end -------------------------------------------------------------------------------------------------

    async def _terminate(self) -> None:
        """Ends every container and the sandbox; the pod's last status follows."""
        observed = await self._current.observe()
        if is_deleting(self.pod):
            await self._report.publish(observed)
        grace = self._end.grace if self._end.grace is not None else podspec.grace_period(self.pod)
        await self._telling(self._runs.kill_all(observed, self._end.begin(self._kit.clock, grace)))
        self._kit.probes.forget(self.ref.uid)
        try:
            await self._kit.claims.unprepare(self.pod)
        except DraError as err:
            raise RuntimeFailure(str(err)) from err
        observed = await self._current.observe()
        await self._report.publish(observed, terminal=True)
        for sandbox in observed.sandboxes:
            await self._kit.runtime.remove_sandbox(sandbox.id)
        # volumes first: what they hold in memory would else be charged to the group above
        await self._kit.volumes.unmount(self.ref.uid)
        await self._kit.cgroups.remove(self.ref.uid)

    async def _telling(self, ending: Coroutine[Any, Any, None]) -> None:
        """While the containers end, what changes is told: some have ended before others, a readiness probe fails."""
        task = asyncio.ensure_future(ending)
        try:
            while not task.done():
                self._pace.clear()
                woken = asyncio.ensure_future(self._pace.woken())
                await asyncio.wait({task, woken}, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                if not task.done():
                    await self._tell_so_far()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell_so_far(self) -> None:
        """What cannot be told now breaks no end off: the last word follows."""
        try:
            if (observed := await self._current.observe()).running:
                await self._report.publish(observed)
        except RuntimeFailure as err:
            log.info("Status of ending pod %s: %s", podspec.format_pod(self.pod), err)

    async def _clean_up(self) -> None:
        """The pod has gone: nothing of it stays, then its API object goes."""
        observed = await self._current.observe()
        if not (self.returns and podspec.restart_policy(self.pod) == "Always"):
            await asyncio.gather(
                *(self._kit.runtime.remove_container(c.id) for c in observed.containers),
                self._kit.logs.remove(self.ref.uid),
            )
        await self._kit.volumes.tear_down(self.ref.uid)
        await self._kit.cgroups.remove(self.ref.uid)
        self._report.forget(observed)
        for container in podspec.all_containers(self.pod):
            self._kit.backoff.forget(self._current.backoff_key(container))
        self._kit.release(self.ref.uid)
        if not self._end.gone:
            await self._kit.finish(self.pod, self._report.last)
