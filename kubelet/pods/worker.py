"""One pod on this node: a task that makes what runs match the newest spec, until the pod has gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from kubelet.containers.build import VolumePath, sandbox_spec
from kubelet.pods import spec as podspec
from kubelet.pods.actions import PodActions, Start, pod_actions
from kubelet.pods.allocation import Allocation
from kubelet.pods.conditions import OWN
from kubelet.pods.ending import PodEnd
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.killer import Deadline
from kubelet.pods.kit import Kit
from kubelet.pods.messages import TerminationMessages
from kubelet.pods.resize import Resize, resizes
from kubelet.pods.status import Facts, Waiting, is_terminal, pod_status
from kubelet.runtime.protocol import (
    ContainerRecord,
    ImageRecord,
    PodRecord,
    RuntimeFailure,
    RuntimeUnavailable,
    State,
)
from kubelet.volumes.manager import FailedVolume
from kubeling.api.meta import Object, is_deleting, parse_time, rfc3339

log = logging.getLogger(__name__)

_RESYNC = 60.0
_RETRY_FIRST, _RETRY_MAX = 0.5, 122.0
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Give it the newest pod with ``update``, wake it when something happened, run it as a task."""

    def __init__(self, pod: Object, kit: Kit) -> None:
        self.pod = pod
        self.ref = podspec.ref_of(pod)
        self._kit = kit
        self._wake = asyncio.Event()
        self._end_asked = asyncio.Event()
        self.ended = asyncio.Event()  # its containers have ended for good
        self._end = PodEnd()
        self._allocation = Allocation(pod, kit.recorder, kit.fits)
        self._waiting: dict[str, Waiting] = {}
        self._told_backoff: dict[str, str] = {}
        self._retries = 0
        self._retry_at: datetime | None = None
        self._failed = False
        self._messages = TerminationMessages(kit.runtime, kit.pods_folder)
        self._images: dict[str, ImageRecord] = {}
        self._volumes: Mapping[str, VolumePath] | None = None
        self._volumes_fresh = False
        self._start_time = rfc3339(kit.clock.now())
        self._last_status: Object = pod.get("status") or {}
        if is_deleting(pod):
            self._ask_end()

    # --- told from outside ---------------------------------------------------------------------------------------

    def update(self, pod: Object) -> None:
        """The newest pod; only the last one counts."""
        self.pod = pod
        self._failed = False
        if is_deleting(pod):
            self._ask_end()
            self._end.shorten(podspec.grace_period(pod))
        self._wake.set()

    @property
    def allocated(self) -> Object:
        """The pod with the resources that it may have now: a resize that waits is not in it."""
        return self._allocation.allocated(self.pod)

    @property
    def waits_for_room(self) -> bool:
        return self._allocation.waits

    def wake(self) -> None:
        self._wake.set()

    def try_again(self) -> None:
        """The engine was away: what failed meanwhile is no reason to wait."""
        self._failed, self._retries = False, 0
        self._wake.set()

    def refresh_volumes(self) -> None:
        """Something that the volumes show has changed."""
        self._volumes_fresh = self._failed = False
        self._wake.set()

    def remove(self) -> None:
        """The pod has gone from its source: end it, with nothing left to report to."""
        self._end.gone = True
        self._ask_end()

    def fail(self, reason: str, message: str, grace: float | None = None, *, disruption: bool = False) -> None:
        """Ends the pod as Failed: evicted, past its deadline, or with its node.

        ``disruption``: for no fault of its own, which its condition DisruptionTarget tells.
        """
        self._end.reason, self._end.message, self._end.disruption = reason, message, disruption
        if grace is not None:
            self._end.grace = grace
        self._ask_end()

    def refuse(self, reason: str, message: str) -> None:
        """The pod may not run here at all: nothing of it is made, nothing but this is told."""
        self._end.refused = True
        self.fail(reason, message)

    def _ask_end(self) -> None:
        self._end_asked.set()
        self._wake.set()

    @property
    def ending(self) -> bool:
        return self._end_asked.is_set()

    # --- the task ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the pod has gone from its source and left nothing behind."""
        if is_terminal(self.pod.get("status") or {}):
            self._end_asked.set()  # ended under an earlier kubelet
        while not self.ending:
            self._wake.clear()
            await self._sync_unless_ending()
            await self._sleep()
        await self._retry_until_done(self._terminate)
        self.ended.set()
        while not (is_deleting(self.pod) or self._end.gone):
            self._wake.clear()
            await self._wake.wait()
        await self._retry_until_done(self._clean_up)

    async def _retry_until_done(self, step: object) -> None:
        delay = _RETRY_FIRST
        while True:
            try:
                await step()  # type: ignore[operator]
                return
            except RuntimeUnavailable as err:
                log.info("Ending pod %s: %s; going on when it does", podspec.format_pod(self.pod), err)
                self._wake.clear()
                await self._woken_within(_RESYNC)
                continue
            except (RuntimeFailure, OSError) as err:
                log.warning("Ending pod %s: %s; trying again", podspec.format_pod(self.pod), err)
                self._kit.recorder.event(self.pod, "Warning", "FailedKillPod", f"error killing pod: {err}")
            await self._kit.clock.sleep(delay)
            delay = min(delay * 2, 30.0)

    async def _woken_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _sync_unless_ending(self) -> None:
        """One sync; broken off when the pod is to end, because everything in it can be found again."""
        sync = asyncio.ensure_future(self._sync_safely())
        asked = asyncio.ensure_future(self._end_asked.wait())
        try:
            await asyncio.wait({sync, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sync, asked):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sync
            await asyncio.gather(asked, return_exceptions=True)

    async def _sync_safely(self) -> None:
        try:
            await self._sync()
            self._retries = 0
        except FailedVolume as err:
            self._kit.recorder.event(self.pod, "Warning", "FailedMount", str(err))
            self._retry_later()
        except RuntimeUnavailable as err:  # no fault of the pod's: all workers are woken when the engine answers again
            log.info("Syncing pod %s: %s", podspec.format_pod(self.pod), err)
            self._retry_at = None
        except RuntimeFailure as err:
            log.warning("Syncing pod %s: %s", podspec.format_pod(self.pod), err)
            self._retry_later()

    def _retry_later(self) -> None:
        seconds = min(_RETRY_FIRST * 2**self._retries, _RETRY_MAX)
        self._retries += 1
        self._failed = True
        self._retry_at = self._kit.clock.now() + timedelta(seconds=seconds)

    async def _sleep(self) -> None:
        """Until woken, until something is due, at most a minute; after a failure, events alone bring no earlier retry."""
        seconds = _RESYNC
        if self._retry_at is not None:
            seconds = min(seconds, max(0.0, (self._retry_at - self._kit.clock.now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
                while self._failed and not self.ending:
                    self._wake.clear()
                    await self._wake.wait()

    # --- one sync ------------------------------------------------------------------------------------------------

    async def _sync(self) -> None:
        self._retry_at, self._failed = None, False
        if self._past_deadline():
            self.fail("DeadlineExceeded", DEADLINE_MESSAGE)
            return
        self._allocation.consider(self.pod)
        observed = await self._observe()
        actions = self._decide(observed)
        if observed.sandbox is None and not actions.create_sandbox:
            await self._publish(observed)
            return
        self._note_waiting(actions)
        await self._publish(observed)
        observed = await self._prepare(actions, observed)
        if actions.create_sandbox:
            actions = self._decide(observed)
        await self._act(actions, observed)
        await self._publish(await self._observe())
        self._wake_at(actions.wake_at)

    async def _observe(self) -> PodRecord:
        return await self._kit.runtime.pod(self.ref)

    def _decide(self, observed: PodRecord) -> PodActions:
        verdicts = self._kit.probes.verdicts(self.ref.uid)
        return pod_actions(self.allocated, observed, verdicts, self._hold, self._kit.clock.now())

    def _hold(self, container: Object, record: ContainerRecord) -> datetime | None:
        return self._kit.backoff.until(self._backoff_key(container), record.finished_at or record.created_at)

    def _backoff_key(self, container: Object) -> tuple[str, str, str]:
        return self.ref.uid, container["name"], podspec.spec_hash(container)

    def _past_deadline(self) -> bool:
        seconds = podspec.spec_of(self.pod).get("activeDeadlineSeconds")
        if seconds is None:
            return False
        started = parse_time((self.pod.get("status") or {}).get("startTime") or self._start_time)
        due = started + timedelta(seconds=int(seconds))
        self._wake_at(due)
        return self._kit.clock.now() >= due

    def _wake_at(self, moment: datetime | None) -> None:
        if moment is not None and (self._retry_at is None or moment < self._retry_at):
            self._retry_at = moment

    def _note_waiting(self, actions: PodActions) -> None:
        """CrashLoopBackOff for those held back; told once for every new delay."""
        for name in actions.waiting:
            container = podspec.container_named(self.pod, name)
            if container is None:
                continue
            seconds = int(self._kit.backoff.delay(self._backoff_key(container)).total_seconds())
            shown = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
            pod = podspec.format_pod(self.pod)
            self._waiting[name] = Waiting(
                "CrashLoopBackOff", f"back-off {shown} restarting failed container={name} pod={pod}"
            )
            record = str(actions.waiting[name])
            if self._told_backoff.get(name) != record:
                self._told_backoff[name] = record
                message = f"Back-off restarting failed container {name} in pod {pod}"
                self._kit.starter.tell(self.pod, container, "Warning", "BackOff", message)

    async def _prepare(self, actions: PodActions, observed: PodRecord) -> PodRecord:
        """Volumes and sandbox, at the same time."""
        if actions.kill_pod and actions.create_sandbox and (observed.running or observed.sandboxes):
            message = "Pod sandbox changed, it will be killed and re-created."
            self._kit.recorder.event(self.pod, "Normal", "SandboxChanged", message)
            await self._kill_all(observed, Deadline(self._kit.clock, podspec.grace_period(self.pod)))
            for sandbox in observed.sandboxes:
                await self._kit.runtime.remove_sandbox(sandbox.id)
        results = await asyncio.gather(
            self._set_up_volumes(), self._make_sandbox(actions, observed), return_exceptions=True
        )
        for result in reversed(results):
            if isinstance(result, BaseException):
                raise result
        return await self._observe() if actions.create_sandbox else observed

    async def _set_up_volumes(self) -> None:
        if not self._volumes_fresh:
            self._volumes_fresh = True
            try:
                self._volumes = await self._kit.volumes.set_up(self.pod)
            except BaseException:
                self._volumes_fresh = False
                raise

    async def _make_sandbox(self, actions: PodActions, observed: PodRecord) -> None:
        if not actions.create_sandbox:
            return
        try:
            await self._kit.starter.require_runtime_handler(self.pod)
            await self._kit.runtime.run_sandbox(sandbox_spec(self.pod, actions.attempt, self._kit.node))
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as err:
            self._kit.recorder.event(
                self.pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {err}"
            )
            raise

    async def _act(self, actions: PodActions, observed: PodRecord) -> None:
        if actions.kill_pod:
            await self._kill_all(observed, Deadline(self._kit.clock, podspec.grace_period(self.pod)))
            return
        for kill in actions.kills:
            deadline = Deadline(self._kit.clock, self._probe_grace(kill.container, kill.reason))
            await self._kit.killer.kill(
                self.pod, kill.record, deadline, message=kill.message, pod_ip=self._ip(observed)
            )
            self.wake()
        await self._resize(observed)
        for step in actions.starts:
            if not await self._start(step, observed) and step.kind == "init":
                return

    async def _resize(self, observed: PodRecord) -> None:
        """Gives running containers the resources that the spec asks for now."""
        restarting = False
        for resize in resizes(self.allocated, observed, self._kit.node.memory):
            if resize.restart:
                message = f"Container {resize.record.name} resize requires restart"
                deadline = Deadline(self._kit.clock, podspec.grace_period(self.pod))
                await self._kit.killer.kill(
                    self.pod, resize.record, deadline, message=message, pod_ip=self._ip(observed)
                )
                restarting = True
                self.wake()
            else:
                await self._update(resize)
        if not restarting:
            self._allocation.applied(self.pod)

    async def _update(self, resize: Resize) -> None:
        try:
            await self._kit.runtime.update_resources(resize.record.id, resize.resources)
        except RuntimeFailure as err:
            self._allocation.failed(self.pod, str(err))
            raise

    def _probe_grace(self, container: Object | None, probe: str) -> float:
        own = ((container or {}).get(f"{probe}Probe") or {}).get("terminationGracePeriodSeconds") if probe else None
        return float(own) if own is not None else float(podspec.grace_period(self.pod))

    async def _start(self, step: Start, observed: PodRecord) -> bool:
        """Starts one container; True when it runs. What keeps it from running goes into its status."""
        name, kit = step.container["name"], self._kit
        if step.after is not None and step.after.state is State.EXITED:
            event = step.after.finished_at or step.after.created_at
            kit.backoff.next(self._backoff_key(step.container), event, kit.clock.now())
        try:
            container_id = await kit.starter.start(self.allocated, step, observed, self._volumes or {})
        except ContainerFailure as err:
            self._waiting[name] = Waiting(err.reason, err.message)
            await self._after_failure(step, err)
            return False
        self._waiting.pop(name, None)
        self._told_backoff.pop(name, None)
        await self._drop_old_runs(name, container_id)
        self.wake()
        return True

    async def _after_failure(self, step: Start, err: ContainerFailure) -> None:
        if err.reason == "PostStartHookError":
            observed = await self._observe()
            record = observed.latest(step.container["name"])
            if record is not None:
                deadline = Deadline(self._kit.clock, podspec.grace_period(self.pod))
                await self._kit.killer.kill(self.pod, record, deadline, message="FailedPostStartHook")
        if err.reason in ("RunContainerError", "PostStartHookError"):
            await self._drop_old_runs(step.container["name"], "")
            self.wake()
            return
        retry = err.retry_at or self._kit.clock.now() + timedelta(seconds=10)
        self._wake_at(retry)

    async def _drop_old_runs(self, name: str, newest: str) -> None:
        """Keeps the last run before this one, for ``logs --previous`` and the last state."""
        observed = await self._observe()
        runs = [c for c in observed.containers if c.name == name]
        for record in runs[2:]:
            await self._kit.runtime.remove_container(record.id)

    # --- what is reported ----------------------------------------------------------------------------------------

    def _ip(self, observed: PodRecord) -> str:
        sandbox = observed.sandbox
        return self._kit.node.ip if podspec.is_host_network(self.pod) else sandbox.ip if sandbox else ""

    async def _publish(self, observed: PodRecord, *, terminal: bool = False) -> Object:
        """Brings the probes up to date and sends the status, when it differs from the last."""
        kit = self._kit
        kit.probes.follow(self.pod, observed, self._ip(observed), self.wake, ending=terminal or self.ending)
        verdicts = kit.probes.verdicts(self.ref.uid)
        await self._know_images(observed)
        facts = Facts(
            now=kit.clock.now(),
            host_ip=kit.node.ip,
            waiting=self._waiting_now(observed),
            ready=kit.probes.ready(self.ref.uid),
            started=verdicts.started,
            messages=await self._messages.of(self.pod, observed),
            images=self._images,
            conditions=self._allocation.conditions,
            disruption=self._end.message if self._end.disruption else "",
            reason=self._end.reason if terminal else "",
            message=self._end.message if terminal else "",
            terminal=terminal,
            refused=self._end.refused,
            start_time=self._start_time,
        )
        base = {**self.allocated, "status": {**(self.pod.get("status") or {}), **self._carried()}}
        status = pod_status(base, observed, facts)
        self._last_status = status
        kit.publish(self.pod, status)
        if is_terminal(status) and not self.ending:
            self._ask_end()
        return status

    def _carried(self) -> Object:
        """Our own last status beats what the API has shown us so far; conditions of others are the API's."""
        conditions = {c["type"]: c for c in (self.pod.get("status") or {}).get("conditions") or ()}
        conditions |= {c["type"]: c for c in self._last_status.get("conditions") or () if c["type"] in OWN}
        kept = {k: v for k, v in self._last_status.items() if k in ("phase", "startTime", "qosClass", "podIP")}
        return {**kept, "conditions": list(conditions.values())}

    def _waiting_now(self, observed: PodRecord) -> Mapping[str, Waiting]:
        running = {c.name for c in observed.running}
        return {name: why for name, why in self._waiting.items() if name not in running}

    async def _know_images(self, observed: PodRecord) -> None:
        for record in observed.containers:
            if record.image_id and record.image_id not in self._images:
                image = await self._kit.runtime.image(record.image_id)
                if image is not None:
                    self._images[record.image_id] = image

    # --- the end -------------------------------------------------------------------------------------------------

    async def _kill_all(self, observed: PodRecord, deadline: Deadline) -> None:
        """Regular containers together, then sidecars, the last one first."""
        sidecars = [c["name"] for c in podspec.init_containers(self.pod) if podspec.is_sidecar(c)]
        ip = self._ip(observed)
        first = [r for r in observed.running if r.name not in sidecars]
        await asyncio.gather(*(self._kit.killer.kill(self.pod, r, deadline, pod_ip=ip) for r in first))
        for name in reversed(sidecars):
            record = observed.latest(name)
            if record is not None and record.state is State.RUNNING:
                await self._kit.killer.kill(self.pod, record, deadline, pod_ip=ip)

    async def _terminate(self) -> None:
        """Ends every container and the sandbox; the pod's last status follows."""
        observed = await self._observe()
        if is_deleting(self.pod):
            await self._publish(observed)
        grace = self._end.grace if self._end.grace is not None else podspec.grace_period(self.pod)
        await self._kill_all(observed, self._end.begin(self._kit.clock, grace))
        self._kit.probes.forget(self.ref.uid)
        observed = await self._observe()
        status = await self._publish(observed, terminal=True)
        self._last_status = status
        for sandbox in observed.sandboxes:
            await self._kit.runtime.remove_sandbox(sandbox.id)

    async def _clean_up(self) -> None:
        """The pod has gone: nothing of it stays, then its API object goes."""
        observed = await self._observe()
        await asyncio.gather(*(self._kit.runtime.remove_container(c.id) for c in observed.containers))
        await self._kit.volumes.tear_down(self.ref.uid)
        self._messages.forget(observed)
        for container in podspec.all_containers(self.pod):
            self._kit.backoff.forget(self._backoff_key(container))
        self._kit.release(self.ref.uid)
        if not self._end.gone:
            await self._kit.finish(self.pod, self._last_status)
