"""Requests and limits as cgroup settings and OOM scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.pods import spec as podspec
from kubelet.pods.qos import BEST_EFFORT, GUARANTEED, qos_class
from kubelet.pods.requests import container_sum
from kubelet.runtime.specs import Resources
from kubeling.api import quantity
from kubeling.api.meta import Object

MIN_SHARES, _MAX_SHARES = 2, 262144
PERIOD, _MIN_QUOTA = 100_000, 1000
_GUARANTEED_SCORE, _BEST_EFFORT_SCORE = -997, 1000


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """What the node adds: its memory in bytes, which weighs OOM scores; the most processes, 0 for no limit; whether processor
    limits are enforced, and over which period in microseconds."""

    memory: int
    pids: int = 0
    quota: bool = True
    period: int = PERIOD


def cpu_shares(milli: int) -> int:
    """1024 shares a CPU."""
    return max(MIN_SHARES, min(_MAX_SHARES, milli * 1024 // 1000)) if milli else MIN_SHARES


def cpu_quota(milli: int, period: int = PERIOD) -> int:
    """Microseconds of each period; 0 without a limit."""
    return max(_MIN_QUOTA, milli * period // 1000) if milli else 0


def _amount(resources: Mapping[str, Any], kind: str, name: str) -> quantity.Quantity:
    return quantity.parse((resources.get(kind) or {}).get(name) or "0")


def _with_pod_limits(own: Mapping[str, Any], pods: Mapping[str, Any]) -> Mapping[str, Any]:
    """A container without a limit of its own is held to the pod's."""
    limits = {k: v for k, v in (pods.get("limits") or {}).items() if k in ("cpu", "memory")}
    return {**own, "limits": {**limits, **(own.get("limits") or {})}} if limits else own


def container_resources(pod: Object, container: Mapping[str, Any], policy: ResourcePolicy) -> Resources:
    """What a container's cgroup gets. A limit stands in for a missing request."""
    own = _with_pod_limits(container.get("resources") or {}, podspec.spec_of(pod).get("resources") or {})
    requests = own.get("requests") or {}
    request = own if "cpu" in requests else {"requests": own.get("limits") or {}}
    cpu_limit = _amount(own, "limits", "cpu").milli() if policy.quota else 0
    return Resources(
        cpu_shares=cpu_shares(_amount(request, "requests", "cpu").milli()),
        cpu_quota=cpu_quota(cpu_limit, policy.period),
        cpu_period=policy.period if cpu_limit else 0,
        memory=_amount(own, "limits", "memory").integer(),
        pids=policy.pids,
        oom_score_adj=oom_score(pod, container, policy.memory),
    )


def oom_score(pod: Object, container: Mapping[str, Any], node_memory: int) -> int:
    """-997 for Guaranteed and node critical pods, 1000 for BestEffort, between by the share of memory requested (pkg/kubelet/qos).

    What the pod requests beyond its containers counts for each in equal parts; a sidecar outlives the container that asks least.
    """
    qos = qos_class(pod)
    if qos == GUARANTEED or is_node_critical(pod):
        return _GUARANTEED_SCORE
    if qos == BEST_EFFORT:
        return _BEST_EFFORT_SCORE
    more = _unclaimed_memory(pod)

    def score(request: int) -> int:
        return 1000 - 1000 * (request + more) // max(1, node_memory)

    found = score(_memory_request(container))
    if podspec.is_sidecar(container) and container in podspec.init_containers(pod):
        found = min(found, score(min(_memory_request(c) for c in podspec.containers(pod))))
    return max(1000 + _GUARANTEED_SCORE, min(found, _BEST_EFFORT_SCORE - 1))


def is_node_critical(pod: Object) -> bool:
    return podspec.is_critical(pod) and podspec.spec_of(pod).get("priorityClassName") == "system-node-critical"


def _memory_request(container: Mapping[str, Any]) -> int:
    return _amount(container.get("resources") or {}, "requests", "memory").integer()


def _unclaimed_memory(pod: Object) -> int:
    """Bytes a container of what the pod requests and its containers do not."""
    whole = _amount(podspec.spec_of(pod).get("resources") or {}, "requests", "memory").integer()
    count = len(podspec.containers(pod)) + len(podspec.init_containers(pod))
    claimed = container_sum(pod, "requests").get("memory", quantity.ZERO).integer()
    return max(0, whole - claimed) // count if whole else 0
