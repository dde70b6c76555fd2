"""Image garbage collection: above the high threshold of the disk, images that nobody uses go, the longest unused first.

Upstream's node owns its container runtime, and every image is fair game. Our engine is the user's own, so only images that this
kubelet pulled itself are ever removed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from kubelet.images.metrics import COLLECTED
from kubelet.images.records import PullRecords
from kubelet.pods.recorder import Recorder
from kubelet.runtime.pause import IMAGE as PAUSE_IMAGE
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.runtime.records import ImageRecord
from kubelet.volumes.image import image_key
from kubeling.api.meta import Object
from kubeling.client.clock import Clock

log = logging.getLogger(__name__)
_PERIOD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class GcPolicy:
    """Thresholds in percent of the disk's capacity."""

    high: int = 85
    low: int = 80
    minimum_age: timedelta = timedelta(minutes=2)
    maximum_age: timedelta = timedelta(0)  # of images that nobody uses; 0: none is too old


@dataclass(frozen=True, slots=True)
class Disk:
    capacity: int
    available: int

    @classmethod
    def of(cls, folder: str) -> Disk:
        """Raises OSError."""
        found = os.statvfs(folder)
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def images_to_remove(
    images: Iterable[ImageRecord],
    ours: Collection[str],
    in_use: set[str],
    last_used: Mapping[str, float],
    first_seen: Mapping[str, float],
    disk: Disk,
    policy: GcPolicy,
    now: float,
) -> list[ImageRecord]:
    """Which images to remove to get below the low threshold; none while the disk is below the high one. Times are Unix time;
    ``ours`` are the ids of those that may go."""
    if disk.capacity == 0 or 100 - disk.available * 100 // disk.capacity < policy.high:
        return []
    wanted = disk.capacity * (100 - policy.low) // 100 - disk.available
    unused = [
        i
        for i in images
        if _may_go(i, ours, in_use) and now - first_seen.get(i.id, now) >= policy.minimum_age.total_seconds()
    ]
    chosen: list[ImageRecord] = []
    for image in sorted(unused, key=lambda i: (last_used.get(i.id, 0.0), first_seen.get(i.id, 0.0))):
        if wanted <= 0:
            break
        chosen.append(image)
        wanted -= image.size
    return chosen


def _may_go(image: ImageRecord, ours: Collection[str], in_use: set[str]) -> bool:
    return image.id in ours and image.id not in in_use and PAUSE_IMAGE not in image.tags


def images_too_old(
    images: Iterable[ImageRecord],
    ours: Collection[str],
    in_use: set[str],
    last_used: Mapping[str, float],
    began: float,
    policy: GcPolicy,
    now: float,
) -> list[ImageRecord]:
    """Which images nobody has used for longer than the policy's maximum age. Nothing is known of what was used before this kubelet
    ``began``: until it is that old itself, none is."""
    age = policy.maximum_age.total_seconds()
    if not age or now - began <= age:
        return []
    return [i for i in images if _may_go(i, ours, in_use) and now - last_used.get(i.id, 0.0) > age]


class ImageCollector:
    """``used`` is when each image was last used, ``mounted`` tells the keys of those that volumes show; ``node`` is what
    events are about."""

    def __init__(
        self,
        runtime: Runtime,
        recorder: Recorder,
        clock: Clock,
        policy: GcPolicy,
        *,
        used: Mapping[str, float],
        records: PullRecords,
        mounted: Callable[[], set[str]],
        node: Object,
        folder: str,
    ) -> None:
        self._runtime, self._recorder, self._clock, self._policy = runtime, recorder, clock, policy
        self._used, self._records, self._node, self._folder = used, records, node, folder
        self._mounted = mounted
        self._first_seen: dict[str, float] = {}
        self._began = clock.now().timestamp()
        self._failed = False

    async def run(self) -> None:
        """Looks every five minutes."""
        while True:
            await self._clock.sleep(_PERIOD_SECONDS)
            try:
                await self.collect()
                self._failed = False
            except (RuntimeFailure, OSError) as err:
                log.warning("Image garbage collection: %s", err)
                if self._failed:  # once may be chance
                    self._recorder.event(self._node, "Warning", "ImageGCFailed", str(err))
                self._failed = True

    async def collect(self) -> int:
        """Removes what is to be removed; answers the bytes freed. Raises RuntimeFailure and OSError."""
        return await self._collect(self._policy)

    async def free_all(self) -> int:
        """Removes every image of ours that nothing uses, however young: pods would have to go instead."""
        return await self._collect(GcPolicy(0, 0, timedelta(0)), tell=False)

    async def _collect(self, policy: GcPolicy, *, tell: bool = True) -> int:
        recorded = self._records.image_ids  # before the images: what is pulled meanwhile is not forgotten
        images = await self._runtime.images()
        now = self._clock.now().timestamp()
        self._first_seen = {i.id: self._first_seen.get(i.id, now) for i in images}
        in_use = {c.image_id for pod in (await self._runtime.pods()).values() for c in pod.containers}
        mounted = await asyncio.to_thread(self._mounted)
        in_use |= {i.id for i in images if image_key(i.id) in mounted}
        disk = Disk.of(self._folder)
        await self._records.forget(recorded - {i.id for i in images})
        freed = 0
        ours = self._records.pulled_ids
        old = images_too_old(images, ours, in_use, self._used, self._began, policy, now)
        for image in old:
            freed += await self._remove(image, "age")
        left = [i for i in images if i not in old]
        for image in images_to_remove(left, ours, in_use, self._used, self._first_seen, disk, policy, now):
            freed += await self._remove(image, "space")
        used = 100 - disk.available * 100 // max(1, disk.capacity)
        wanted = disk.capacity * (100 - policy.low) // 100 - disk.available
        if tell and used >= policy.high and freed < wanted:
            text = (
                f"Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, "
                f"but only found {freed} bytes eligible to free."
            )
            self._recorder.event(self._node, "Warning", "FreeDiskSpaceFailed", text)
        return freed

    async def _remove(self, image: ImageRecord, reason: str) -> int:
        """The bytes that this frees: none when a container that is not ours uses the image."""
        try:
            await self._runtime.remove_image(image.id)
        except RuntimeFailure as err:
            log.debug("Image %s stays: %s", image.id, err)
            return 0
        COLLECTED.labels(reason).inc()
        return image.size
