"""Evicts pods when the machine runs short, and those that use more local storage than they may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubelet.node.signals import DISK, INODES, MEMORY, RESOURCES, Reading, Threshold, pressure_of, read_signals
from kubelet.node.status import Pressure
from kubelet.pods import spec as podspec
from kubelet.pods.manager import PodManager
from kubelet.pods.qos import BEST_EFFORT, qos_class
from kubelet.pods.recorder import Recorder
from kubelet.pods.requests import pod_requests
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.volumes.usage import folder_size
from kubeling.api import quantity
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
_PERIOD_SECONDS = 10.0
_GRACE_SECONDS = 1.0
EVICTED = "Evicted"


@dataclass(frozen=True, slots=True)
class PodUse:
    """What a pod uses of the resource in question, and what it requested of it; ``containers`` has both by name."""

    pod: Object
    used: int
    requested: int
    containers: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def eviction_order(uses: list[PodUse]) -> list[PodUse]:
    """Who goes first: those above their request, the less important, those furthest above it. Critical pods never go."""
    candidates = [u for u in uses if not podspec.is_critical(u.pod)]
    return sorted(
        candidates,
        key=lambda u: (
            u.used <= u.requested,
            int(podspec.spec_of(u.pod).get("priority") or 0),
            -(u.used - u.requested),
        ),
    )


def eviction_message(signal: str, minimum: int, available: int, use: PodUse) -> str:
    """As the pod's status and the Evicted event tell it."""
    resource = RESOURCES[signal]
    plain = signal not in (MEMORY, DISK)

    def shown(amount: int) -> str:
        return str(amount) if plain else quantity.canonical(f"{amount // 1024}Ki")

    text = f"The node was low on resource: {resource}. Threshold quantity: {shown(minimum)}, available: {shown(available)}. "
    for name, (used, requested) in use.containers.items():
        if used > requested:
            request = shown(requested) if requested else "0"
            text += (
                f"Container {name} was using {shown(used)}, request is {request}, "
                f"has larger consumption of {resource}. "
            )
    return text


def thresholds_to_act_on(met: Iterable[Threshold], since: Mapping[Threshold, float], now: float) -> list[Threshold]:
    """Those met long enough: memory first, hard before soft; ``since`` is when each was first seen met."""
    due = [t for t in met if now - since[t] >= (t.grace or 0.0)]
    return sorted(due, key=lambda t: (t.signal != MEMORY, t.soft, t.signal))


def storage_excess(pod: Object, volumes: Mapping[str, int], containers: Mapping[str, int] | None = None) -> str:
    """Why a pod has to go for the local storage it uses; empty if it may stay.

    In bytes: each emptyDir volume, and each container's writable layer and logs.
    """
    containers = containers or {}
    for volume in podspec.spec_of(pod).get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and volumes.get(volume["name"], 0) > quantity.parse(limit).integer() > 0:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    on_disk = sum(
        size
        for volume in podspec.spec_of(pod).get("volumes") or ()
        if (size := volumes.get(volume["name"], 0)) and (volume.get("emptyDir") or {}).get("medium") != "Memory"
    )
    limits = [quantity.parse(text) for c in podspec.containers(pod) if (text := _storage_limit(c))]
    total = sum(limits, quantity.ZERO)
    if len(limits) == len(podspec.containers(pod)) and on_disk + sum(containers.values()) > total.integer():
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    for container in podspec.containers(pod):
        text = _storage_limit(container)
        if text and containers.get(container["name"], 0) > quantity.parse(text).integer():
            return f'Container {container["name"]} exceeded its local ephemeral storage limit "{text}". '
    return ""


def _storage_limit(container: Mapping[str, Any]) -> str:
    text: str = ((container.get("resources") or {}).get("limits") or {}).get("ephemeral-storage") or ""
    return text


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
        pressure_seconds: float = 300.0,
        soft_grace_seconds: float = 0.0,
        changed: Callable[[Pressure], None],
        free_disk: Callable[[], object],
        read: Callable[[Path], dict[str, Reading]] = read_signals,
    ) -> None:
        self._pods, self._runtime, self._recorder, self._clock = pods, runtime, recorder, clock
        self._thresholds, self._folder, self._node = thresholds, pods_folder, node
        self._changed, self._free_disk, self._read = changed, free_disk, read
        self._pressure_seconds, self._soft_grace = pressure_seconds, soft_grace_seconds
        self._since: dict[Threshold, float] = {}
        self._met_at: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            await self._clock.sleep(_PERIOD_SECONDS)
            try:
                await self.check()
            except (RuntimeFailure, OSError) as err:
                log.warning("Eviction manager: %s", err)

    async def check(self) -> None:
        """One look at the machine and at the pods' local storage; at most one pod goes for the machine's sake."""
        await self._check_storage()
        readings = await asyncio.to_thread(self._read, self._folder)
        now = self._clock.monotonic()
        met = [t for t in self._thresholds if t.is_met(readings, before=t in self._since)]
        self._since = {t: self._since.get(t, now) for t in met}
        self._met_at |= {t.signal: now for t in met}
        lasting = {s for s, at in self._met_at.items() if at == now or now - at < self._pressure_seconds}
        self._changed(pressure_of(lasting))
        for threshold in thresholds_to_act_on(met, self._since, now)[:1]:
            await self._relieve(threshold, readings)

    async def _relieve(self, threshold: Threshold, readings: Mapping[str, Reading]) -> None:
        if threshold.signal in (DISK, INODES):
            result = self._free_disk()
            if asyncio.iscoroutine(result):
                await result
            readings = await asyncio.to_thread(self._read, self._folder)
            if not threshold.is_met(readings, before=True):
                return
        reading = readings[threshold.signal]
        resource = RESOURCES[threshold.signal]
        self._recorder.event(self._node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        log.warning("Eviction manager: attempting to reclaim %s", resource)
        order = eviction_order([await self._use(w.pod, threshold.signal) for w in self._pods.active()])
        if not order:
            log.warning("Eviction manager: there is no pod to evict")
            return
        minimum = threshold.minimum(reading.capacity)
        message = eviction_message(threshold.signal, minimum, reading.available, order[0])
        self._evict(order[0].pod, message, self._grace(order[0].pod) if threshold.soft else _GRACE_SECONDS)

    def _grace(self, pod: Object) -> float:
        """Seconds for a pod that a soft threshold ends: its own, at most what the kubelet is told."""
        return min(float(podspec.grace_period(pod)), self._soft_grace)

    async def _use(self, pod: Object, signal: str) -> PodUse:
        requests = pod_requests(pod)
        if signal == MEMORY:
            containers = {}
            for record in (await self._runtime.pod(podspec.ref_of(pod))).running:
                usage = await self._runtime.usage(record.id)
                own = podspec.container_named(pod, record.name) or {}
                text = ((own.get("resources") or {}).get("requests") or {}).get("memory") or "0"
                containers[record.name] = (usage.working_set if usage else 0, quantity.parse(text).integer())
            used = sum(u for u, _ in containers.values())
            request = requests.get("memory", quantity.ZERO).integer() if qos_class(pod) != BEST_EFFORT else 0
            return PodUse(pod, used, request, containers)
        used = sum((await self._volume_sizes(pod)).values())
        return PodUse(pod, used, requests.get("ephemeral-storage", quantity.ZERO).integer())

    async def _volume_sizes(self, pod: Object) -> dict[str, int]:
        root = self._folder / podspec.ref_of(pod).uid / "volumes" / "kubernetes.io~empty-dir"
        sizes = {}
        for volume in podspec.spec_of(pod).get("volumes") or ():
            if volume.get("emptyDir") is not None:
                sizes[volume["name"]] = await asyncio.to_thread(folder_size, root / volume["name"])
        return sizes

    async def _check_storage(self) -> None:
        for worker in list(self._pods.active()):
            containers = await self._container_sizes(worker.pod)
            if excess := storage_excess(worker.pod, await self._volume_sizes(worker.pod), containers):
                self._evict(worker.pod, excess)

    async def _container_sizes(self, pod: Object) -> dict[str, int]:
        """Asked of the engine, which has to count, only for pods with a limit."""
        if not any(_storage_limit(c) for c in podspec.containers(pod)):
            return {}
        running = (await self._runtime.pod(podspec.ref_of(pod))).running
        return {record.name: await self._runtime.disk_usage(record.id) for record in running}

    def _evict(self, pod: Object, message: str, grace: float = _GRACE_SECONDS) -> None:
        self._recorder.event(pod, "Warning", EVICTED, message)
        worker = self._pods.worker(podspec.ref_of(pod).uid)
        if worker is not None:
            worker.fail(EVICTED, message, grace, disruption=True)
