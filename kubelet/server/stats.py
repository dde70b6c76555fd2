"""Resource usage of the node's containers, as /stats/summary and the metrics show it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import Runtime, RuntimeFailure
from kubelet.runtime.records import ContainerRecord, ContainerUsage, PodRecord
from kubeling.api.meta import Object

_AGE = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    pod: Object
    container: str
    usage: ContainerUsage
    started: datetime | None
    record: ContainerRecord


def by_pod(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """By the pod's UID."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(podspec.ref_of(sample.pod).uid, []).append(sample)
    return found


def node_cpu_nanos() -> int:
    """CPU time that the machine has used since boot."""
    fields = [int(v) for v in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    busy = sum(fields) - fields[3] - fields[4]
    return busy * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


class Usage:
    """Samples all containers, at most once in five seconds; rates come from the sample before."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._taken = -_AGE
        self._samples: list[Sample] = []
        self._rates: dict[str, tuple[float, int, int]] = {}

    async def samples(self, pods: Iterable[Object], now: float) -> list[Sample]:
        if now - self._taken < _AGE:
            return self._samples
        wanted = []
        for pod in pods:
            record: PodRecord = await self._runtime.pod(podspec.ref_of(pod))
            wanted += [(pod, c) for c in record.running]
        usages = await asyncio.gather(*(self._runtime.usage(c.id) for _, c in wanted), return_exceptions=True)
        self._samples = [
            Sample(pod, container.name, usage, container.started_at, container)
            for (pod, container), usage in zip(wanted, usages, strict=True)
            if isinstance(usage, ContainerUsage)
        ]
        for usage in usages:
            if isinstance(usage, BaseException) and not isinstance(usage, RuntimeFailure):
                raise usage
        self._taken = now
        return self._samples

    def rate(self, key: str, nanos: int, now: float) -> int:
        """Nanocores since the last sample at least five seconds ago."""
        before = self._rates.get(key)
        if before is None:
            self._rates[key] = (now, nanos, 0)
            return 0
        at, old, rate = before
        if now - at >= _AGE:
            rate = max(0, int((nanos - old) / (now - at)))
            self._rates[key] = (now, nanos, rate)
        return rate
