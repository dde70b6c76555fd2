"""The Summary API: ``/stats/summary`` (k8s.io/kubelet/pkg/apis/stats/v1alpha1)."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from kubelet.node.machine import memory_info
from kubelet.node.signals import memory_available
from kubelet.pods import spec as podspec
from kubelet.runtime.protocol import Runtime
from kubelet.runtime.records import InterfaceUsage
from kubelet.server import machine_stats
from kubelet.server.disks import Disks, PodDisks
from kubelet.server.stats import Sample, Usage, by_pod, node_cpu_nanos
from kubeling.api.meta import Object, rfc3339

_CPU = ("usageNanoCores", "usageCoreNanoSeconds")
_MEMORY = ("usageBytes", "workingSetBytes", "rssBytes", "pageFaults", "majorPageFaults")
_NETWORK = {"rx_bytes": "rxBytes", "rx_errors": "rxErrors", "tx_bytes": "txBytes", "tx_errors": "txErrors"}


class Summary:
    """Puts the answer together from samples and from what the machine says."""

    def __init__(self, usage: Usage, runtime: Runtime, node_name: str, pods_folder: Path, disks: Disks) -> None:
        self._usage, self._runtime, self._node, self._folder = usage, runtime, node_name, pods_folder
        self._disks = disks
        self._images: Path | None = None
        self._begun = rfc3339(datetime.now(UTC))

    async def answer(self, pods: list[Object], now: datetime, monotonic: float, *, brief: bool = False) -> Object:
        """``brief``: CPU and memory alone. Raises RuntimeFailure and OSError."""
        samples = by_pod(await self._usage.samples(pods, monotonic))
        stamp = rfc3339(now)
        shown = [self._pod(s, stamp, monotonic) for s in samples.values()]
        node = self._node_part(stamp, monotonic)
        node["systemContainers"].append(_all_pods(shown, node["startTime"], stamp))
        if not brief:
            if self._images is None:
                self._images = Path((await self._runtime.version())["root_dir"])
            self._disks.forget_all_but(samples)
            disks = [await self._disks.of(s[0].pod, [c.record for c in s]) for s in samples.values()]
            parts = list(zip(shown, samples.values(), disks, strict=True))
            await asyncio.to_thread(self._add_disks, node, parts, self._images, stamp)
        return {"node": node, "pods": shown}

    def _node_part(self, stamp: str, monotonic: float) -> Object:
        memory, nanos, (faults, major) = memory_info(), node_cpu_nanos(), machine_stats.page_faults()
        own = resource.getrusage(resource.RUSAGE_SELF)
        own_nanos = int((own.ru_utime + own.ru_stime) * 1e9)
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {
            "nodeName": self._node,
            "systemContainers": [
                {
                    "name": "kubelet",
                    "startTime": self._begun,
                    "cpu": self._cpu("kubelet", own_nanos, stamp, monotonic),
                    "memory": {
                        "time": stamp,
                        "usageBytes": resident,
                        "workingSetBytes": resident,
                        "rssBytes": resident,
                        "pageFaults": own.ru_minflt,
                        "majorPageFaults": own.ru_majflt,
                    },
                }
            ],
            "startTime": rfc3339(datetime.fromtimestamp(machine_stats.boot_time(), UTC)),
            "cpu": self._cpu("node", nanos, stamp, monotonic),
            "memory": {
                "time": stamp,
                "availableBytes": memory_available(memory),
                "usageBytes": memory["MemTotal"] - memory["MemFree"],
                "workingSetBytes": memory["MemTotal"] - memory_available(memory),
                "rssBytes": memory.get("AnonPages", 0),
                "pageFaults": faults,
                "majorPageFaults": major,
            },
            "swap": {
                "time": stamp,
                "swapAvailableBytes": memory["SwapFree"],
                "swapUsageBytes": memory["SwapTotal"] - memory["SwapFree"],
            },
        }

    def _cpu(self, key: str, nanos: int, stamp: str, monotonic: float) -> Object:
        return {
            "time": stamp,
            "usageNanoCores": self._usage.rate(key, nanos, monotonic),
            "usageCoreNanoSeconds": nanos,
        }

    def _pod(self, samples: Sequence[Sample], stamp: str, monotonic: float) -> Object:
        ref = podspec.ref_of(samples[0].pod)
        containers = [self._container(s, stamp, monotonic) for s in samples]
        shown: Object = {
            "podRef": {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid},
            "startTime": (samples[0].pod.get("status") or {}).get("startTime"),
            "containers": containers,
            "cpu": _total(containers, "cpu", _CPU, stamp),
            "memory": _total(containers, "memory", _MEMORY, stamp),
        }
        if all("availableBytes" in c["memory"] for c in containers):
            shown["memory"] |= {"availableBytes": sum(int(c["memory"]["availableBytes"]) for c in containers)}
        if all("swap" in c for c in containers):
            shown["swap"] = _total(containers, "swap", ("swapUsageBytes",), stamp)
        return shown

    def _container(self, sample: Sample, stamp: str, monotonic: float) -> Object:
        ref, used = podspec.ref_of(sample.pod), sample.usage
        limit = sample.record.resources.memory if sample.record.resources else 0
        return {
            "name": sample.container,
            "startTime": rfc3339(sample.started) if sample.started else None,
            "cpu": self._cpu(f"{ref.uid}/{sample.container}", used.cpu_nanos, stamp, monotonic),
            "memory": {
                "time": stamp,
                **({"availableBytes": max(0, limit - used.working_set)} if limit > 0 else {}),
                "usageBytes": used.memory_bytes,
                "workingSetBytes": used.working_set,
                "rssBytes": used.rss,
                "pageFaults": used.page_faults,
                "majorPageFaults": used.major_page_faults,
            },
            **({"swap": {"time": stamp, "swapUsageBytes": used.swap}} if used.swap is not None else {}),
        }

    def _add_disks(
        self, node: Object, pods: list[tuple[Object, list[Sample], PodDisks]], engine: Path, stamp: str
    ) -> None:
        """What takes system calls: networks, file systems, processes."""
        disk = machine_stats.filesystem(self._folder, stamp)
        images = machine_stats.filesystem(engine, stamp) if engine.exists() else disk
        node["network"] = network(machine_stats.interfaces(), stamp, machine_stats.default_interface())
        node["fs"] = disk
        node["runtime"] = {"imageFs": images, "containerFs": images}
        node["rlimit"] = machine_stats.process_limits(stamp)
        for shown, samples, disks in pods:
            self._add_pod_disks(shown, samples, disks, images, stamp)

    def _add_pod_disks(
        self, shown: Object, samples: Sequence[Sample], disks: PodDisks, images: Object, stamp: str
    ) -> None:
        if found := next((s.usage.interfaces for s in samples if s.usage.interfaces), ()):
            shown["network"] = network(list(found), stamp, found[0].name)
        whole = {k: images[k] for k in ("time", "availableBytes", "capacityBytes", "inodesFree", "inodes")}
        for container, sample in zip(shown["containers"], samples, strict=True):
            for part, uses in (("rootfs", disks.layers), ("logs", disks.logs)):
                size, inodes = uses[sample.container]
                container[part] = {**whole, "usedBytes": size, "inodesUsed": inodes}
        if disks.volumes:
            shown["volume"] = disks.volumes
        shown["ephemeral-storage"] = machine_stats.filesystem(self._folder, stamp, disks.local)
        shown["process_stats"] = {"process_count": sum(s.usage.pids for s in samples)}


def _total(parts: Iterable[Object], part: str, fields: Iterable[str], stamp: str) -> Object:
    found = [p[part] for p in parts]
    return {"time": stamp, **{field: sum(int(p[field]) for p in found) for field in fields}}


def _all_pods(pods: Sequence[Object], begun: str, stamp: str) -> Object:
    """The system container that holds all pods."""
    return {
        "name": "pods",
        "startTime": begun,
        "cpu": _total(pods, "cpu", _CPU, stamp),
        "memory": _total(pods, "memory", _MEMORY, stamp),
    }


def network(found: Sequence[InterfaceUsage], stamp: str, default: str) -> Object:
    """All interfaces, and the default one once more in front."""
    shown = [
        {"name": i.name, **{theirs: value for ours, value in asdict(i).items() if (theirs := _NETWORK.get(ours))}}
        for i in found
    ]
    first = next((i for i in shown if i["name"] == default), None)
    return {"time": stamp, **(first or {"name": ""}), "interfaces": shown}
