"""Resource usage of the node's containers: /stats/summary and /metrics/resource."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubelet.node.machine import memory_info
from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import ContainerUsage, PodRecord, Runtime, RuntimeFailure
from kubeling.api.meta import Object, rfc3339

_AGE = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    pod: Object
    container: str
    usage: ContainerUsage
    started: datetime | None


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
            Sample(pod, container.name, usage, container.started_at)
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


async def summary(usage: Usage, node_name: str, pods: list[Object], now: datetime, monotonic: float) -> Object:
    """The Summary API's answer (k8s.io/kubelet/pkg/apis/stats/v1alpha1)."""
    samples = await usage.samples(pods, monotonic)
    stamp = rfc3339(now)
    by_pod: dict[str, list[Sample]] = {}
    for sample in samples:
        by_pod.setdefault(podspec.ref_of(sample.pod).uid, []).append(sample)
    memory, nanos = memory_info(), node_cpu_nanos()
    node: Object = {
        "nodeName": node_name,
        "startTime": stamp,
        "cpu": {
            "time": stamp,
            "usageNanoCores": usage.rate("node", nanos, monotonic),
            "usageCoreNanoSeconds": nanos,
        },
        "memory": {
            "time": stamp,
            "availableBytes": memory["MemAvailable"],
            "usageBytes": memory["MemTotal"] - memory["MemFree"],
            "workingSetBytes": memory["MemTotal"] - memory["MemAvailable"],
        },
    }
    return {"node": node, "pods": [_pod(usage, s, stamp, monotonic) for s in by_pod.values()]}


def _pod(usage: Usage, samples: list[Sample], stamp: str, monotonic: float) -> Object:
    ref = podspec.ref_of(samples[0].pod)
    containers = [_container(usage, s, stamp, monotonic) for s in samples]

    def total(part: str, field: str) -> int:
        return sum(int(c[part][field]) for c in containers)

    return {
        "podRef": {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid},
        "startTime": (samples[0].pod.get("status") or {}).get("startTime"),
        "containers": containers,
        "cpu": {
            "time": stamp,
            "usageNanoCores": total("cpu", "usageNanoCores"),
            "usageCoreNanoSeconds": total("cpu", "usageCoreNanoSeconds"),
        },
        "memory": {
            "time": stamp,
            "usageBytes": total("memory", "usageBytes"),
            "workingSetBytes": total("memory", "workingSetBytes"),
        },
    }


def _container(usage: Usage, sample: Sample, stamp: str, monotonic: float) -> Object:
    ref, used = podspec.ref_of(sample.pod), sample.usage
    rate = usage.rate(f"{ref.uid}/{sample.container}", used.cpu_nanos, monotonic)
    return {
        "name": sample.container,
        "startTime": rfc3339(sample.started) if sample.started else None,
        "cpu": {"time": stamp, "usageNanoCores": rate, "usageCoreNanoSeconds": used.cpu_nanos},
        "memory": {"time": stamp, "usageBytes": used.memory_bytes, "workingSetBytes": used.working_set},
    }
