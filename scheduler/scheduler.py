"""The scheduler's loop: one pod after the other is decided; binding, evicting and telling go on beside it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from kubeling.api.errors import StatusError, is_conflict, is_not_found
from kubeling.client.clock import Clock, SystemClock
from kubeling.client.errors import ClientError
from scheduler.cache import Cache
from scheduler.framework.events import ClusterEvent
from scheduler.framework.plugin import Waiting
from scheduler.framework.profile import Profile
from scheduler.framework.schedule import Decision, schedule
from scheduler.framework.status import PluginError, Rejection, reject
from scheduler.metrics import SchedulerMetrics
from scheduler.model.pod import PodInfo
from scheduler.plugins.binder import DefaultBinder
from scheduler.plugins.dynamicresources import DynamicResources
from scheduler.plugins.volumebinding import VolumeBinding
from scheduler.queue import QueuedPod, SchedulingQueue
from scheduler.writer import Writer

log = logging.getLogger(__name__)

MAX_BINDING = 64
UNSCHEDULABLE, SCHEDULER_ERROR = "Unschedulable", "SchedulerError"


class Scheduler:
    """Takes pods from the queue and gives them nodes. ``run`` works until cancelled."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        cache: Cache,
        queue: SchedulingQueue,
        writer: Writer,
        *,
        rng: random.Random | None = None,
        clock: Clock | None = None,
        metrics: SchedulerMetrics | None = None,
    ) -> None:
        self._profiles = profiles
        self._cache = cache
        self._queue = queue
        self._writer = writer
        self._random = rng or random.Random()
        self._clock = clock or SystemClock()
        self._metrics = metrics or SchedulerMetrics()
        self._start = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling: dict[str, asyncio.Task[None]] = {}  # status writes that a binding must not overtake
        self._binding = asyncio.Semaphore(MAX_BINDING)
        for profile in profiles.values():
            for plugin in profile.plugins.values():
                if isinstance(plugin, DefaultBinder):
                    plugin.write = writer.bind
                if isinstance(plugin, VolumeBinding | DynamicResources):
                    plugin.writer = writer

    async def run(self) -> None:
        for name in self._queue.sizes():
            self._metrics.pending.labels(name).set_function(partial(self._pending, name))
        self._metrics.nodes.labels("nodes").set_function(lambda: float(len(self._cache.nodes)))
        try:
            while True:
                self._try(await self._queue.next())
                await asyncio.sleep(0)  # news of the cluster and answers to writes come in between decisions
        finally:
            for task in self._tasks:
                task.cancel()

    def _pending(self, place: str) -> float:
        return float(self._queue.sizes()[place])

    def _try(self, queued: QueuedPod) -> None:
        """Decides for one pod; a defect is that pod's failure, not the scheduler's end."""
        pod = queued.pod
        profile = self._profiles.get(pod.spec.get("schedulerName", "default-scheduler"))
        if profile is None or pod.deleting or self._cache.is_assumed(pod.uid):
            self._queue.done(pod.uid)
            return
        started = self._clock.monotonic()
        try:
            decision = schedule(pod, self._cache, profile, self._random, self._start)
        except PluginError as err:
            self._errored(queued, profile, str(err), started)
            return
        except Exception as err:  # the loop must go on for all other pods
            log.exception("scheduling %s", pod.key)
            self._errored(queued, profile, str(err), started)
            return
        finally:
            self._metrics.algorithm_seconds.observe(self._clock.monotonic() - started)
        self._start = decision.next_start
        if decision.node:
            self._place(queued, profile, decision, started)
        else:
            self._unplaced(queued, profile, decision, started)

    # a node was found

    def _place(self, queued: QueuedPod, profile: Profile, decision: Decision, started: float) -> None:
        pod = queued.pod
        node = self._cache.node(decision.node)
        assert node is not None  # the decision was made from this very cache, just now
        for plugin in profile.reservers:
            rejection = plugin.reserve(pod, node, self._cache)
            if rejection is not None:
                self._rejected(queued, profile, decision.node, rejection, started)
                return
        waits: dict[str, Waiting] = {}
        for permitter in profile.permitters:
            answer = permitter.permit(pod, decision.node)
            if isinstance(answer, Rejection):
                self._rejected(queued, profile, decision.node, answer, started)
                return
            if answer is not None:
                waits[permitter.name] = answer  # type: ignore[attr-defined]  # every plugin has one
        assumed = self._cache.assume(pod, decision.node)
        self._spawn(self._bind(queued, assumed, profile, decision.node, waits, started))

    async def _bind(
        self,
        queued: QueuedPod,
        assumed: PodInfo,
        profile: Profile,
        node: str,
        waits: dict[str, Waiting],
        started: float,
    ) -> None:
        pod = queued.pod
        try:
            rejection = await self._permitted(waits)
            telling = self._telling.get(pod.uid)
            if telling is not None:
                await asyncio.wait([telling])
            if rejection is None:
                async with self._binding:
                    rejection = await self._write_binding(assumed, profile, node)
        except (StatusError, ClientError) as err:
            self._release(pod, profile, node)
            if is_conflict(err) or is_not_found(err):
                # the pod is leaving, gone or bound by somebody else: the informer will show which, or it is tried again
                log.info("cannot bind %s: %s", pod.key, err)
                self._queue.failed(queued, frozenset(), error=True)
            else:
                self._errored(queued, profile, str(err), started)
            return
        except PluginError as err:
            self._release(pod, profile, node)
            self._errored(queued, profile, str(err), started)
            return
        except Exception as err:  # a plugin's defect must not keep the place taken for ever
            log.exception("binding %s", pod.key)
            self._release(pod, profile, node)
            self._errored(queued, profile, str(err), started)
            return
        if rejection is not None:
            self._release(pod, profile, node)
            self._rejected(queued, profile, node, rejection, started)
            return
        self._queue.done(pod.uid)
        self._writer.tell_scheduled(pod, node)
        self._measure(queued, profile, "scheduled", started)

    async def _permitted(self, waits: dict[str, Waiting]) -> Rejection | None:
        """The first no of the plugins that made the pod wait; silence for too long is one."""
        for name, waiting in waits.items():
            text = f"rejected due to timeout after waiting {waiting.seconds:g}s at plugin {name}"
            timer = self._clock.call_later(waiting.seconds, partial(_settle, waiting, reject(text, plugin=name)))
            rejection = await waiting.verdict
            timer.cancel()
            if rejection is not None:
                return rejection
        return None

    async def _write_binding(self, pod: PodInfo, profile: Profile, node: str) -> Rejection | None:
        for plugin in profile.pre_binders:
            rejection = await plugin.pre_bind(pod, node)
            if rejection is not None:
                return rejection
        for binder in profile.binders:
            if await binder.bind(pod, node):
                return None
        return Rejection(("no Bind plugin took the pod",))

    def _release(self, pod: PodInfo, profile: Profile, node: str) -> None:
        for plugin in profile.reservers:
            plugin.unreserve(pod, node)
        self._cache.forget(pod.uid)
        self._queue.happened(ClusterEvent.POD_DELETED, lambda other: other.uid != pod.uid)

    # no node was found

    def _unplaced(self, queued: QueuedPod, profile: Profile, decision: Decision, started: float) -> None:
        pod, diagnosis = queued.pod, decision.diagnosis
        assert diagnosis is not None  # a decision without a node says why
        message = diagnosis.message()
        nominated = decision.preemption.node if decision.preemption else ""
        lesser = [p for p in self._cache.nominated(nominated) if p.priority < pod.priority] if nominated else []
        self._cache.nominate(pod, nominated)
        plugins = diagnosis.plugins
        if diagnosis.nodes == 0:  # nobody in particular said no: any node will do
            plugins = frozenset(profile.plugins)
        self._queue.failed(queued, plugins)
        self._tell(pod, UNSCHEDULABLE, message, nominated)
        self._measure(queued, profile, "unschedulable", started)
        for write in decision.after:
            self._spawn(write())
        if decision.preemption is not None:
            self._metrics.preemptions.inc()
            self._metrics.victims.observe(len(decision.preemption.victims))
            self._spawn(self._writer.evict(pod, decision.preemption))
            for other in lesser:
                self._cache.nominate(other, "")
                self._spawn(self._writer.clear_nomination(other))

    def _rejected(self, queued: QueuedPod, profile: Profile, node: str, rejection: Rejection, started: float) -> None:
        """A plugin said no after the node was chosen."""
        for plugin in profile.reservers:
            plugin.unreserve(queued.pod, node)
        self._queue.failed(queued, frozenset(p for p in rejection.plugin.split(",") if p))
        self._tell(queued.pod, UNSCHEDULABLE, f"0/1 nodes are available: 1 {rejection.message}.", "")
        self._measure(queued, profile, "unschedulable", started)

    def _errored(self, queued: QueuedPod, profile: Profile, message: str, started: float) -> None:
        log.warning("cannot schedule %s: %s", queued.pod.key, message)
        self._queue.failed(queued, frozenset(), error=True)
        self._tell(queued.pod, SCHEDULER_ERROR, message, "")
        self._measure(queued, profile, "error", started)

    def _tell(self, pod: PodInfo, reason: str, message: str, nominated: str) -> None:
        """The event and the pod's condition."""
        self._writer.tell_failed(pod, message)
        task = self._spawn(self._writer.set_unscheduled(pod, reason, message, nominated))
        self._telling[pod.uid] = task
        task.add_done_callback(lambda done: self._told(pod.uid, done))

    def _told(self, uid: str, task: asyncio.Task[None]) -> None:
        if self._telling.get(uid) is task:
            del self._telling[uid]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work beside the loop; what it raises is logged, the next attempt at the pod does it again."""

        async def guarded() -> None:
            try:
                await work
            except* (StatusError, ClientError) as group:
                log.warning("cannot write: %s", "; ".join(str(e) for e in _flat(group)))

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _measure(self, queued: QueuedPod, profile: Profile, result: str, started: float) -> None:
        now = self._clock.monotonic()
        self._metrics.attempts.labels(profile.name, result).inc()
        self._metrics.attempt_seconds.labels(profile.name, result).observe(now - started)
        if result == "scheduled":
            self._metrics.pod_attempts.observe(queued.attempts)
            label = str(queued.attempts) if queued.attempts < 15 else "15+"
            self._metrics.sli_seconds.labels(label).observe(now - queued.added_at)


def _settle(waiting: Waiting, rejection: Rejection) -> None:
    if not waiting.verdict.done():
        waiting.verdict.set_result(rejection)


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for err in group.exceptions:
        found += _flat(err) if isinstance(err, BaseExceptionGroup) else [err]
    return found
