"""The node's housekeeping: image garbage collection, eviction and shutdown, made from the options."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from kubelet.cgroups.manager import NoCgroups, PodCgroups
from kubelet.images.gc import GcPolicy, ImageCollector
from kubelet.images.manager import ImageManager
from kubelet.node.eviction import EvictionManager
from kubelet.node.logind import follow_shutdown
from kubelet.node.settings import eviction_thresholds
from kubelet.node.shutdown import ShutdownManager, grace_periods, parse_periods
from kubelet.node.shutdown_state import ShutdownState
from kubelet.node.signals import SignalReader
from kubelet.node.status import Pressure
from kubelet.options import Options
from kubelet.parts import node_reference
from kubelet.pods.manager import PodManager
from kubelet.pods.recorder import Recorder
from kubelet.runtime.protocol import Runtime
from kubelet.volumes.image import mounted_images
from kubeling.api.meta import Object
from kubeling.client.clock import Clock
from kubeling.client.errors import StartError


class Upkeep:
    """``pressure_changed`` is told the node's pressure, ``report_node`` is called when the node begins or stops to shut down.

    Raises StartError.
    """

    def __init__(
        self,
        options: Options,
        pods: PodManager,
        runtime: Runtime,
        recorder: Recorder,
        clock: Clock,
        *,
        node_name: str,
        images: ImageManager,
        cgroups: PodCgroups | NoCgroups,
        pressure_changed: Callable[[Pressure], None],
        report_node: Callable[[], None],
    ) -> None:
        node, folder = node_reference(node_name), Path(options.root_dir)
        self._clock, self._real = clock, options.runtime == "docker"  # a simulated engine fills neither memory nor disk
        self._collector = _make_collector(options, runtime, recorder, clock, images, node)
        self._evictions = EvictionManager(
            pods,
            runtime,
            recorder,
            clock,
            eviction_thresholds(options),
            folder / "pods",
            node=node,
            read=SignalReader(runtime, cgroups, folder / "pods").read,
            pressure_seconds=options.eviction_pressure_transition_period,
            soft_grace_seconds=options.eviction_max_pod_grace_period,
            changed=pressure_changed,
            free_disk=self._collector.free_all,
        )
        self.shutdown = _make_shutdown(options, pods, recorder, clock, node, report_node)

    def start(self, group: asyncio.TaskGroup) -> None:
        group.create_task(follow_shutdown(self.shutdown, self._clock), name="node shutdown")
        if self._real:
            group.create_task(self._evictions.run(), name="eviction")
            group.create_task(self._collector.run(), name="image collector")


def _make_collector(
    options: Options, runtime: Runtime, recorder: Recorder, clock: Clock, images: ImageManager, node: Object
) -> ImageCollector:
    policy = GcPolicy(
        options.image_gc_high_threshold,
        options.image_gc_low_threshold,
        timedelta(seconds=options.minimum_image_ttl_duration),
        timedelta(seconds=options.image_maximum_gc_age),
    )
    return ImageCollector(
        runtime,
        recorder,
        clock,
        policy,
        used=images.used,
        records=images.records,
        mounted=lambda: mounted_images(Path(options.root_dir) / "pods"),
        node=node,
        folder=str(Path(options.root_dir)),
    )


def _make_shutdown(
    options: Options, pods: PodManager, recorder: Recorder, clock: Clock, node: Object, changed: Callable[[], None]
) -> ShutdownManager:
    try:
        by_priority = parse_periods(options.shutdown_grace_period_by_pod_priority)
    except ValueError as err:
        raise StartError(str(err)) from err
    periods = grace_periods(options.shutdown_grace_period, options.shutdown_grace_period_critical_pods, by_priority)
    state = ShutdownState(Path(options.root_dir))
    if periods:
        state.load()
    return ShutdownManager(pods, recorder, clock, periods, state=state, node=node, changed=changed)
