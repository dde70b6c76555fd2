"""Starts, ends and resizes the containers of one pod."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.pods.actions import RESTART_ALL, Kill, PodActions, Start
from kubelet.pods.current import CurrentPod
from kubelet.pods.failure import ContainerFailure
from kubelet.pods.ground import PodGround
from kubelet.pods.killer import Deadline
from kubelet.pods.kit import Kit
from kubelet.pods.metrics import CONTAINER_TYPES, RESIZE_MILLISECONDS, STARTED_CONTAINERS, STARTED_CONTAINERS_ERRORS
from kubelet.pods.report import PodReport
from kubelet.pods.resize import Resize, memory_refusal, resizes
from kubelet.pods.turns import Turns
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.runtime.records import ContainerRecord, PodRecord, State
from kubeling.api.meta import Object

_RETRY = timedelta(seconds=10)  # a container that could not be made is tried again then, unless the failure says when


class PodRuns:
    """One pod's. Everything may raise RuntimeFailure."""

    def __init__(self, current: CurrentPod, kit: Kit, report: PodReport, ground: PodGround) -> None:
        self._current, self._kit, self._report, self._ground = current, kit, report, ground

    async def act(self, actions: PodActions, observed: PodRecord) -> None:
        """Carries out what was decided, on a sandbox that stands."""
        if actions.kill_pod:
            await self.kill_all(observed, self._grace())
            return
        for kill in actions.kills:
            deadline = Deadline(self._kit.clock, self._probe_grace(kill))
            await self._kill(kill.record, deadline, observed, kill.message)
            self._current.pace.wake()
        if actions.kills:
            observed = await self._current.observe()
        await self._resize(observed)
        for step in actions.starts:
            ran = await self._start(step, observed)
            if not ran and step.kind == "init" and not podspec.is_sidecar(step.container):
                return

    # --- ending --------------------------------------------------------------------------------------------------

    def _grace(self) -> Deadline:
        return Deadline(self._kit.clock, podspec.grace_period(self._current.pod))

    def _probe_grace(self, kill: Kill) -> float:
        """Seconds: the failed probe's own grace, else the pod's; none, and so no preStop hook, where all restart."""
        if kill.reason == RESTART_ALL:
            return 0.0
        probe = (kill.container or {}).get(f"{kill.reason}Probe") or {} if kill.reason else {}
        own = probe.get("terminationGracePeriodSeconds")
        return float(own) if own is not None else float(podspec.grace_period(self._current.pod))

    async def _kill(
        self,
        record: ContainerRecord,
        deadline: Deadline,
        observed: PodRecord,
        message: str = "",
        turn: Callable[[str], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        current = self._current
        await self._kit.killer.kill(
            current.pod, record, deadline, message=message, pod_ip=current.ip(observed), turn=turn
        )

    async def kill_all(self, observed: PodRecord, deadline: Deadline) -> None:
        """All at once; sidecars get their signal last."""
        turns = Turns(self._current.pod, (r.name for r in observed.running))

        async def end(record: ContainerRecord) -> None:
            try:
                await self._kill(record, deadline, observed, turn=turns.wait)
            finally:
                turns.ended(record.name)

        results = await asyncio.gather(*map(end, observed.running), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def replace_sandbox(self, observed: PodRecord) -> None:
        """The sandbox has ended under its containers: nothing of it stays."""
        current = self._current
        message = "Pod sandbox changed, it will be killed and re-created."
        self._kit.recorder.event(current.pod, "Normal", "SandboxChanged", message)
        await self.kill_all(observed, self._grace())
        for sandbox in observed.sandboxes:
            await self._kit.runtime.remove_sandbox(sandbox.id)

    # --- resizing ------------------------------------------------------------------------------------------------

    async def _resize(self, observed: PodRecord) -> None:
        """Gives running containers the resources that the spec asks for now; those that have to restart for it do so first."""
        current = self._current
        wanted = list(resizes(current.allocated, observed, self._kit.node.resources))
        await self._ground.widen()
        for resize in (r for r in wanted if r.restart):
            message = f"Container {resize.record.name} resize requires restart"
            await self._kill(resize.record, self._grace(), observed, message)
            current.pace.wake()
        if any(r.restart for r in wanted):
            return
        begun, success = time.monotonic(), "false"
        try:
            await self._require_memory(wanted)
            for resize in wanted:
                await self._update(resize)
            success = "true"
        finally:
            if wanted:
                RESIZE_MILLISECONDS.labels(success).observe((time.monotonic() - begun) * 1000)
        await self._ground.settle()
        current.allocation.applied(current.pod)

    async def _require_memory(self, wanted: list[Resize]) -> None:
        """Raises RuntimeFailure when a memory limit would go below what is used, which would end processes."""
        used = []
        for resize in (r for r in wanted if r.lowers_memory):
            usage = await self._kit.runtime.usage(resize.record.id)
            used.append((resize.record.name, resize.resources.memory, usage.memory_bytes if usage else 0))
        refusal = memory_refusal(await self._ground.shrinks(), used)
        if refusal:
            self._current.allocation.failed(self._current.pod, refusal)
            raise RuntimeFailure(refusal)

    async def _update(self, resize: Resize) -> None:
        try:
            await self._kit.runtime.update_resources(resize.record.id, resize.resources)
        except RuntimeFailure as err:
            self._current.allocation.failed(self._current.pod, str(err))
            raise

    # --- starting ------------------------------------------------------------------------------------------------

    async def _start(self, step: Start, observed: PodRecord) -> bool:
        """Starts one container; True when it runs. What keeps it from running goes into its status."""
        current, kit = self._current, self._kit
        if step.after is not None and step.after.state is State.EXITED:
            event = step.after.finished_at or step.after.created_at
            kit.backoff.next(current.backoff_key(step.container), event, kit.clock.now())
        type_ = CONTAINER_TYPES[step.kind]
        STARTED_CONTAINERS.labels(type_).inc()
        try:
            container_id = await kit.starter.start(current.allocated, step, observed, self._ground.volumes)
        except ContainerFailure as err:
            STARTED_CONTAINERS_ERRORS.labels(type_, err.reason).inc()
            self._report.failed(step.container["name"], err)
            await self._after_failure(step.container, err)
            return False
        self._report.started(step.container["name"])
        await kit.cgroups.started(current.pod, container_id)
        await self._drop_old_runs(step.container["name"])
        current.pace.wake()
        return True

    async def _after_failure(self, container: Object, err: ContainerFailure) -> None:
        name, pace = container["name"], self._current.pace
        if err.reason == "PostStartHookError":
            observed = await self._current.observe()
            record = observed.latest(name)
            if record is not None:
                await self._kill(record, self._grace(), observed, "FailedPostStartHook")
        if err.reason in ("RunContainerError", "PostStartHookError"):
            await self._drop_old_runs(name)
            pace.wake()
            return
        pace.at(err.retry_at or self._kit.clock.now() + _RETRY)

    async def _drop_old_runs(self, name: str) -> None:
        """Keeps the last run before this one, for ``logs --previous`` and the last state."""
        observed = await self._current.observe()
        runs = [c for c in observed.containers if c.name == name]
        for record in runs[2:]:
            await self._kit.runtime.remove_container(record.id)
