"""Evicts pods when the machine runs short, and those that use more local storage than they may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from kubelet.node.metrics import EVICTION_STATS_AGE, EVICTIONS
from kubelet.node.ranking import (
    PodUse,
    disk_volumes,
    eviction_message,
    eviction_order,
    storage_excess,
    storage_limit,
    thresholds_to_act_on,
)
from kubelet.node.signals import pressure_of
from kubelet.node.status import Pressure
from kubelet.node.thresholds import DISKS, PIDS, RESOURCES, Reading, Threshold
from kubelet.pods import spec as podspec
from kubelet.pods.manager import PodManager
from kubelet.pods.recorder import Recorder
from kubelet.pods.requests import pod_requests
from kubelet.pods.worker import PodWorker
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.runtime.records import ContainerRecord
from kubelet.volumes.usage import folder_inodes, folder_size
from kubeling.api import quantity
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
_PERIOD_SECONDS = 10.0
_CLEAN_UP_SECONDS = 30.0
_GRACE_SECONDS = 1.0
EVICTED = "Evicted"


class EvictionManager:
    """``changed`` is told the node's pressure; ``free_disk`` is tried before pods have to go for disk space."""

    def __init__(
        self,
        pods: PodManager,
        runtime: Runtime,
        recorder: Recorder,
        clock: Clock,
        thresholds: tuple[Threshold, ...],
        pods_folder: Path,
        *,
        node: Object,
        read: Callable[[], Awaitable[Mapping[str, Reading]]],
        changed: Callable[[Pressure], None],
        free_disk: Callable[[], Awaitable[object]],
        pressure_seconds: float = 300.0,
        soft_grace_seconds: float = 0.0,
    ) -> None:
        self._pods, self._runtime, self._recorder, self._clock = pods, runtime, recorder, clock
        self._thresholds, self._folder, self._node = thresholds, pods_folder, node
        self._changed, self._free_disk, self._read = changed, free_disk, read
        self._pressure_seconds, self._soft_grace = pressure_seconds, soft_grace_seconds
        self._since: dict[Threshold, float] = {}
        self._acted_on: set[Threshold] = set()
        self._met_at: dict[str, float] = {}

    async def run(self) -> None:
        """Looks every ten seconds, and at once when evicted pods have gone."""
        while True:
            evicted: Sequence[PodWorker] = ()
            try:
                evicted = await self.check()
            except (RuntimeFailure, OSError) as err:
                log.warning("Eviction manager: %s", err)
            if evicted:
                ended = [asyncio.ensure_future(worker.ended.wait()) for worker in evicted]
                _, late = await asyncio.wait(ended, timeout=_CLEAN_UP_SECONDS)
                for waiting in late:
                    waiting.cancel()
            else:
                await self._clock.sleep(_PERIOD_SECONDS)

    async def check(self) -> list[PodWorker]:
        """One look at the machine and at the pods' local storage; who had to go. At most one goes for the machine's sake."""
        now = self._clock.monotonic()
        readings = await self._read()
        met = [t for t in self._thresholds if t.is_met(readings, before=t in self._acted_on)]
        self._since = {t: self._since.get(t, now) for t in met}
        self._met_at |= {t.signal: now for t in met}
        lasting = {s for s, at in self._met_at.items() if at == now or now - at < self._pressure_seconds}
        self._changed(pressure_of(lasting))
        due = thresholds_to_act_on(met, self._since, now)
        self._acted_on = set(due)
        if evicted := await self._evict_for_storage():
            return evicted
        for threshold in due:
            EVICTION_STATS_AGE.labels(threshold.signal).observe(self._clock.monotonic() - now)
        return await self._relieve(due[0], readings) if due else []

    async def _relieve(self, threshold: Threshold, readings: Mapping[str, Reading]) -> list[PodWorker]:
        resource = RESOURCES[threshold.signal]
        self._recorder.event(self._node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        log.warning("Eviction manager: attempting to reclaim %s", resource)
        if threshold.signal in DISKS:
            await self._free_disk()
            readings = await self._read()
            if not any(t.is_met(readings, before=True) for t in self._thresholds):
                return []
        uses = [await self._use(w.pod, threshold.signal) for w in self._pods.active()]
        for use in eviction_order(uses, threshold.signal):
            message, annotations = eviction_message(threshold, readings[threshold.signal], use)
            grace = self._grace(use.pod) if threshold.soft else _GRACE_SECONDS
            if (worker := self._evict(use.pod, message, grace, annotations, disruption=True)) is not None:
                EVICTIONS.labels(threshold.signal).inc()
                return [worker]
        log.warning("Eviction manager: there is no pod to evict")
        return []

    def _grace(self, pod: Object) -> float:
        """Seconds for a pod that a soft threshold ends: its own, at most what the kubelet is told."""
        return min(float(podspec.grace_period(pod)), self._soft_grace)

    async def _use(self, pod: Object, signal: str) -> PodUse:
        record, resource = await self._runtime.pod(podspec.ref_of(pod)), RESOURCES[signal]
        amounts = {c.name: await self._container_use(c, signal) for c in record.running}
        used = sum(amounts.values()) + sum((await self._volume_uses(pod, signal)).values())
        asked = pod_requests(pod).get(resource, quantity.ZERO)
        containers = {}
        if resource in ("memory", "ephemeral-storage"):
            containers = {name: (amount, _asked(pod, name, resource)) for name, amount in amounts.items()}
        return PodUse(pod, used, asked.integer(), containers, known=record.sandbox is not None)

    async def _container_use(self, record: ContainerRecord, signal: str) -> int:
        resource = RESOURCES[signal]
        if resource == "ephemeral-storage":
            return await self._runtime.disk_usage(record.id)
        if resource == "inodes":
            return (await self._runtime.layer(record.id))[1]
        usage = await self._runtime.usage(record.id)
        return 0 if usage is None else usage.pids if signal == PIDS else usage.working_set

    async def _volume_uses(self, pod: Object, signal: str) -> dict[str, int]:
        measure = {"ephemeral-storage": folder_size, "inodes": folder_inodes}.get(RESOURCES[signal])
        if measure is None:
            return {}
        names = disk_volumes(pod)
        return {name: await asyncio.to_thread(measure, self._volume(pod, name)) for name in names}

    def _volume(self, pod: Object, name: str) -> Path:
        return self._folder / podspec.ref_of(pod).uid / "volumes" / "kubernetes.io~empty-dir" / name

    # --- local storage -------------------------------------------------------------------------------------------

    async def _evict_for_storage(self) -> list[PodWorker]:
        found = []
        for worker in list(self._pods.active()):
            sizes = {
                v["name"]: await asyncio.to_thread(folder_size, self._volume(worker.pod, v["name"]))
                for v in podspec.spec_of(worker.pod).get("volumes") or ()
                if v.get("emptyDir") is not None
            }
            excess = storage_excess(worker.pod, sizes, await self._container_sizes(worker.pod))
            if excess and (evicted := self._evict(worker.pod, excess[1])) is not None:
                EVICTIONS.labels(excess[0]).inc()
                found.append(evicted)
        return found

    async def _container_sizes(self, pod: Object) -> dict[str, int]:
        """Asked of the engine, which has to count, only for pods with a limit."""
        if not any(storage_limit(c) for c in (*podspec.containers(pod), *podspec.init_containers(pod))):
            return {}
        running = (await self._runtime.pod(podspec.ref_of(pod))).running
        return {record.name: await self._runtime.disk_usage(record.id) for record in running}

    def _evict(
        self,
        pod: Object,
        message: str,
        grace: float = _GRACE_SECONDS,
        annotations: Mapping[str, str] | None = None,
        *,
        disruption: bool = False,
    ) -> PodWorker | None:
        worker = self._pods.worker(podspec.ref_of(pod).uid)
        if worker is None or podspec.is_critical(pod):
            return None
        self._recorder.event(pod, "Warning", EVICTED, message, annotations=annotations)
        worker.fail(EVICTED, message, grace, disruption=message if disruption else "")
        return worker


def _asked(pod: Object, container: str, resource: str) -> quantity.Quantity:
    own = podspec.container_named(pod, container) or {}
    return quantity.parse(((own.get("resources") or {}).get("requests") or {}).get(resource) or "0")
