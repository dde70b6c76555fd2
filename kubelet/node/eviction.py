"""Evicts pods when the machine runs short, and those that use more local storage than they may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

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
_PRESSURE_SECONDS = 300.0  # a condition outlasts its cause, so that it does not flutter
_GRACE_SECONDS = 1.0
EVICTED = "Evicted"


@dataclass(frozen=True, slots=True)
class PodUse:
    """What a pod uses of the resource in question, and what it requested of it."""

    pod: Object
    used: int
    requested: int


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
    if use.used > use.requested:
        names = [c["name"] for c in podspec.containers(use.pod)]
        request = shown(use.requested) if use.requested else "0"
        text += (
            f"Container {names[0]} was using {shown(use.used)}, request is {request}, "
            f"has larger consumption of {resource}. "
        )
    return text


def storage_excess(pod: Object, volumes: Mapping[str, int]) -> str:
    """Why a pod has to go for the local storage it uses, by emptyDir volume in bytes; empty if it may stay."""
    for volume in podspec.spec_of(pod).get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and volumes.get(volume["name"], 0) > quantity.parse(limit).integer() > 0:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    limits = [
        quantity.parse(text)
        for c in podspec.containers(pod)
        if (text := ((c.get("resources") or {}).get("limits") or {}).get("ephemeral-storage"))
    ]
    total = sum(limits, quantity.ZERO)
    if len(limits) == len(podspec.containers(pod)) and sum(volumes.values()) > total.integer():
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    return ""


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
        changed: Callable[[Pressure], None],
        free_disk: Callable[[], object],
        read: Callable[[Path], dict[str, Reading]] = read_signals,
    ) -> None:
        self._pods, self._runtime, self._recorder, self._clock = pods, runtime, recorder, clock
        self._thresholds, self._folder = thresholds, pods_folder
        self._changed, self._free_disk, self._read = changed, free_disk, read
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
        met = [t for t in self._thresholds if t.is_met(readings)]
        self._met_at |= {t.signal: now for t in met}
        lasting = {signal for signal, at in self._met_at.items() if now - at < _PRESSURE_SECONDS}
        self._changed(pressure_of(lasting))
        if met:
            threshold = min(met, key=lambda t: (t.signal != MEMORY, t.signal))
            await self._relieve(threshold, readings)

    async def _relieve(self, threshold: Threshold, readings: Mapping[str, Reading]) -> None:
        if threshold.signal in (DISK, INODES):
            result = self._free_disk()
            if asyncio.iscoroutine(result):
                await result
            readings = await asyncio.to_thread(self._read, self._folder)
            if not threshold.is_met(readings):
                return
        reading = readings[threshold.signal]
        node_event = f"Attempting to reclaim {RESOURCES[threshold.signal]}"
        log.warning("Eviction manager: %s", node_event)
        order = eviction_order([await self._use(w.pod, threshold.signal) for w in self._pods.active()])
        if not order:
            log.warning("Eviction manager: there is no pod to evict")
            return
        minimum = threshold.minimum(reading.capacity)
        self._evict(order[0].pod, eviction_message(threshold.signal, minimum, reading.available, order[0]))

    async def _use(self, pod: Object, signal: str) -> PodUse:
        requests = pod_requests(pod)
        if signal == MEMORY:
            used = 0
            for record in (await self._runtime.pod(podspec.ref_of(pod))).running:
                usage = await self._runtime.usage(record.id)
                used += usage.working_set if usage else 0
            request = requests.get("memory", quantity.ZERO).integer() if qos_class(pod) != BEST_EFFORT else 0
            return PodUse(pod, used, request)
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
            if excess := storage_excess(worker.pod, await self._volume_sizes(worker.pod)):
                self._evict(worker.pod, excess)

    def _evict(self, pod: Object, message: str) -> None:
        self._recorder.event(pod, "Warning", EVICTED, message)
        worker = self._pods.worker(podspec.ref_of(pod).uid)
        if worker is not None:
            worker.fail(EVICTED, message, _GRACE_SECONDS)
