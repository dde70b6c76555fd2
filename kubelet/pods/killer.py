"""Ends containers: preStop hook, stop signal, grace to the second, then SIGKILL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kubelet.containers.hooks import HookFailed, HookRunner
from kubelet.pods import spec as podspec
from kubelet.pods.recorder import Recorder, field_path
from kubelet.pods.within import within
from kubelet.runtime.protocol import NotFound, Runtime, RuntimeFailure
from kubelet.runtime.records import ContainerRecord, State
from kubelet.runtime.specs import PodRef
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

_MINIMUM = 2.0  # seconds that a container always gets to react to its signal
_KILL_WAIT = 10.0
_POLL = 1.0  # for exits that no event told about


class Deadline:
    """When the grace is over; it may come nearer while it is waited for (a second, harder deletion)."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._moved = asyncio.Event()

    @property
    def left(self) -> float:
        return max(0.0, self._end - self._clock.monotonic())

    def shorten(self, seconds: float) -> None:
        """Never extends."""
        end = self._clock.monotonic() + seconds
        if end < self._end:
            self._end = end
            self._moved.set()

    async def wait(self, at_least: float = 0.0) -> None:
        """Returns when it is over, wherever it has moved meanwhile, and not before ``at_least`` seconds from now."""
        floor = self._clock.monotonic() + at_least
        while (left := max(self._end, floor) - self._clock.monotonic()) > 0:
            self._moved.clear()
            await within(self._clock, left, self._moved.wait())


class Exits:
    """Lets those wait who want to know that a container has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, list[asyncio.Event]] = {}

    def tell(self, container_id: str) -> None:
        for event in self._waiting.get(container_id, ()):
            event.set()

    async def wait(self, container_id: str, seconds: float) -> None:
        """Returns when the end was told, or after that many seconds."""
        event = asyncio.Event()
        self._waiting.setdefault(container_id, []).append(event)
        try:
            await within(self._clock, seconds, event.wait())
        finally:
            self._waiting[container_id].remove(event)
            if not self._waiting[container_id]:
                del self._waiting[container_id]


class Killer:
    """One for all pods."""

    def __init__(
        self, runtime: Runtime, hooks: HookRunner, recorder: Recorder, clock: Clock, exits: Exits, host_ip: str
    ) -> None:
        self._runtime, self._hooks, self._recorder = runtime, hooks, recorder
        self._clock, self._exits, self._host_ip = clock, exits, host_ip

    async def kill(
        self,
        pod: Object,
        record: ContainerRecord,
        deadline: Deadline,
        *,
        message: str = "",
        pod_ip: str = "",
        turn: Callable[[str], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Returns when the container has ended. ``turn`` says when its signal may be sent, if that is within the deadline.

        Raises RuntimeFailure when it will not end.
        """
        container = podspec.container_named(pod, record.name)
        reference = field_path(pod, container) if container else ""
        self._recorder.event(
            pod, "Normal", "Killing", message or f"Stopping container {record.name}", field_path=reference
        )
        if container is not None and deadline.left > 0:
            await self._pre_stop(pod, container, record, deadline, pod_ip)
        if turn is not None and deadline.left > 0:
            await self._before(deadline, turn(record.name))
        await self._runtime.signal(record.id, "")
        if await self._ended_before(record, deadline):
            return
        await self._runtime.signal(record.id, "SIGKILL")
        end = self._clock.monotonic() + _KILL_WAIT
        while self._clock.monotonic() < end:
            if await self._has_ended(record):
                return
            await self._exits.wait(record.id, 0.2)
        raise RuntimeFailure(f"container {record.name} does not end")

    async def _pre_stop(
        self, pod: Object, container: Object, record: ContainerRecord, deadline: Deadline, pod_ip: str
    ) -> None:
        hook = (container.get("lifecycle") or {}).get("preStop")
        if not hook:
            return
        running = asyncio.ensure_future(self._hooks.run(hook, pod, container, record.id, pod_ip or self._host_ip))
        over = asyncio.ensure_future(deadline.wait())
        try:
            await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() and isinstance(running.exception(), HookFailed):
                self._recorder.event(
                    pod,
                    "Warning",
                    "FailedPreStopHook",
                    "PreStopHook failed",
                    field_path=field_path(pod, container),
                )
        finally:
            for task in (running, over):
                task.cancel()
            await asyncio.gather(running, over, return_exceptions=True)

    @staticmethod
    async def _before(deadline: Deadline, waiting: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(deadline.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ended_before(self, record: ContainerRecord, deadline: Deadline) -> bool:
        over = asyncio.ensure_future(deadline.wait(_MINIMUM))
        try:
            while not over.done():
                if await self._has_ended(record):
                    return True
                exited = asyncio.ensure_future(self._exits.wait(record.id, _POLL))
                await asyncio.wait({exited, over}, return_when=asyncio.FIRST_COMPLETED)
                exited.cancel()
                await asyncio.gather(exited, return_exceptions=True)
            return await self._has_ended(record)
        finally:
            over.cancel()

    async def _has_ended(self, record: ContainerRecord) -> bool:
        try:
            pod = await self._runtime.pod(PodRef(record.pod.namespace, record.pod.name, record.pod.uid))
        except NotFound:
            return True
        found = next((c for c in pod.containers if c.id == record.id), None)
        return found is None or found.state is not State.RUNNING
