"""What the control groups above containers are held to: pure functions of pods and node (pkg/kubelet/cm/helpers_linux.go)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kubelet.containers.resources import MIN_SHARES, cpu_quota, cpu_shares
from kubelet.pods import spec as podspec
from kubelet.pods.qos import BEST_EFFORT, BURSTABLE, qos_class
from kubelet.pods.requests import pod_limits as sum_of_limits
from kubelet.pods.requests import pod_requests
from kubeling.api import quantity
from kubeling.api.meta import Object

_HUGE = "hugepages-"


@dataclass(frozen=True, slots=True)
class CgroupSettings:
    """``quota``: whether processor limits are enforced; ``period`` in microseconds; ``pids`` of a pod, 0 for no limit;
    ``page_sizes``: the machine's huge pages in bytes; ``kill_together``: a container that runs out of memory ends as a whole."""

    quota: bool = True
    period: int = 100_000
    pids: int = 0
    page_sizes: tuple[int, ...] = ()
    kill_together: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """0 is no limit. ``huge_pages``: bytes by page size as ``(size, limit)``, of those that are limited at all."""

    cpu_shares: int = MIN_SHARES
    cpu_quota: int = 0
    cpu_period: int = 100_000
    memory: int = 0
    pids: int = 0
    huge_pages: tuple[tuple[int, int], ...] = ()


def page_size(resource: str) -> int:
    """Bytes of ``hugepages-2Mi``; 0 for other resources."""
    return quantity.parse(resource.removeprefix(_HUGE)).integer() if resource.startswith(_HUGE) else 0


def pod_limits(pod: Object, settings: CgroupSettings) -> Limits:
    """A pod's own group. Processors and memory are limited when every container is, or the pod as a whole."""
    requests, limits, qos = pod_requests(pod), sum_of_limits(pod), qos_class(pod)
    known = {page_size(name): amount.integer() for name, amount in limits.items() if name.startswith(_HUGE)}
    common = Limits(
        cpu_period=settings.period,
        pids=settings.pids,
        huge_pages=tuple((size, known.get(size, 0)) for size in settings.page_sizes),
    )
    if qos == BEST_EFFORT:
        return common
    quota, memory = settings.quota and is_limited(pod, "cpu"), is_limited(pod, "memory")
    return replace(
        common,
        cpu_shares=cpu_shares(requests.get("cpu", quantity.ZERO).milli()),
        cpu_quota=cpu_quota(limits.get("cpu", quantity.ZERO).milli(), settings.period) if quota else 0,
        memory=limits.get("memory", quantity.ZERO).integer() if memory else 0,
    )


def is_limited(pod: Object, resource: str) -> bool:
    own = (podspec.spec_of(pod).get("resources") or {}).get("limits") or {}
    if resource in own:
        return quantity.parse(own[resource]).value > 0
    parts = [*podspec.containers(pod), *podspec.init_containers(pod)]
    return all(
        quantity.parse(((c.get("resources") or {}).get("limits") or {}).get(resource) or "0").value > 0 for c in parts
    )


def burstable_limits(pods: Iterable[Object]) -> Limits:
    """Processors' shares of all Burstable pods together."""
    milli = sum(pod_requests(pod).get("cpu", quantity.ZERO).milli() for pod in pods if qos_class(pod) == BURSTABLE)
    return Limits(cpu_shares=cpu_shares(milli))


def node_limits(capacity: Mapping[str, str], reserved: Mapping[str, str], pids: int) -> Limits:
    """All pods of the node: its capacity without what is reserved; what hard eviction keeps free is theirs to reach for."""
    left = {
        name: max(0, (quantity.parse(amount) - quantity.parse(reserved.get(name, "0"))).milli())
        for name, amount in capacity.items()
    }
    pages = tuple((page_size(name), milli // 1000) for name, milli in left.items() if name.startswith(_HUGE))
    return Limits(
        cpu_shares=cpu_shares(left["cpu"]),
        memory=max(0, left["memory"] // 1000 - sum(limit for _, limit in pages)),
        pids=max(0, pids - quantity.parse(reserved.get("pid", "0")).integer()),
        huge_pages=pages,
    )


def wider(left: Limits, right: Limits) -> Limits:
    """What both fit in."""

    def most(a: int, b: int) -> int:
        return max(a, b) if a and b else 0

    pages = dict(left.huge_pages)
    return Limits(
        cpu_shares=max(left.cpu_shares, right.cpu_shares),
        cpu_quota=most(left.cpu_quota, right.cpu_quota),
        cpu_period=right.cpu_period,
        memory=most(left.memory, right.memory),
        pids=most(left.pids, right.pids),
        huge_pages=tuple((size, max(limit, pages.get(size, 0))) for size, limit in right.huge_pages),
    )


def cpu_weight(shares: int) -> int:
    """Version 2's weight of shares: 2, 1024 and 262144 come to 1, 100 and 10000."""
    if shares <= MIN_SHARES:
        return 1
    steps = math.log2(min(shares, 262144))
    return math.ceil(10 ** ((steps * steps + 125 * steps) / 612 - 7 / 34))


def page_text(size: int) -> str:
    """As the kernel names files of a page size: ``2MB``."""
    for unit, text in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size // unit}{text}"
    return f"{size}B"


def files_of(limits: Limits, version: int) -> list[tuple[str, str, str]]:
    """What to write, in order: controller, file, value (cgroup-v1/ and cgroup-v2.rst in the kernel's documentation)."""
    if version == 2:
        quota = str(limits.cpu_quota) if limits.cpu_quota else "max"
        return [
            ("cpu", "cpu.weight", str(cpu_weight(limits.cpu_shares))),
            ("cpu", "cpu.max", f"{quota} {limits.cpu_period}"),
            ("memory", "memory.max", str(limits.memory or "max")),
            ("pids", "pids.max", str(limits.pids or "max")),
            *(
                ("hugetlb", f"hugetlb.{page_text(size)}.{kind}max", str(limit))
                for size, limit in limits.huge_pages
                for kind in ("", "rsvd.")
            ),
        ]
    return [
        ("cpu", "cpu.shares", str(limits.cpu_shares)),
        ("cpu", "cpu.cfs_quota_us", "-1"),  # a new period beside the old quota may be more than the parent has
        ("cpu", "cpu.cfs_period_us", str(limits.cpu_period)),
        ("cpu", "cpu.cfs_quota_us", str(limits.cpu_quota or -1)),
        ("memory", "memory.limit_in_bytes", str(limits.memory or -1)),
        ("pids", "pids.max", str(limits.pids or "max")),
        *(
            ("hugetlb", f"hugetlb.{page_text(size)}.{kind}limit_in_bytes", str(limit))
            for size, limit in limits.huge_pages
            for kind in ("", "rsvd.")
        ),
    ]
