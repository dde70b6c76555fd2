"""Usage of nodes and containers from the kubelets' figures: pure.

A kubelet says how much CPU time something has used so far; a rate needs two such readings. Source of the rules: metrics-server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kubeling.api.meta import Key, Object


@dataclass(frozen=True, slots=True)
class Counter:
    """A reading: CPU time so far in nanoseconds, memory in bytes, and since when it counts (changes with a restart)."""

    cpu: int
    memory: int
    started: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that one node's kubelet told at ``at``: the node's own counter, and its pods' by container."""

    at: datetime
    node: Counter
    pods: Mapping[Key, Mapping[str, Counter]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used: CPU in nanocores, memory (working set) in bytes."""

    cpu: int
    memory: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Usage by name (a container's; empty for a node) over ``window`` seconds before ``at``."""

    at: datetime
    window: float
    usage: Mapping[str, Usage]


def reading_of(summary: Object, at: datetime) -> Reading:
    """From a Summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1). KeyError when the node has no figures."""
    pods = {
        Key(p["podRef"]["namespace"], p["podRef"]["name"]): {
            c["name"]: _counter(c) for c in p.get("containers") or () if "cpu" in c and "memory" in c
        }
        for p in summary.get("pods") or ()
    }
    node = _counter({**summary["node"], "startTime": ""})  # our kubelets do not know it: its counter tells of a reboot
    return Reading(at, node, pods)


def _counter(stats: Object) -> Counter:
    cpu, memory = stats["cpu"]["usageCoreNanoSeconds"], stats["memory"]["workingSetBytes"]
    return Counter(int(cpu), int(memory), stats.get("startTime") or "")


def node_usage(old: Reading | None, new: Reading) -> Measured | None:
    """None before the second reading."""
    return _measured(old, new, {"": old.node} if old else {}, {"": new.node})


def pod_usage(old: Reading | None, new: Reading, pod: Key) -> Measured | None:
    """None unless each of the pod's containers has been read twice since it started."""
    now = new.pods.get(pod) or {}
    return _measured(old, new, (old.pods.get(pod) or {}) if old else {}, now)


def _measured(
    old: Reading | None, new: Reading, before: Mapping[str, Counter], now: Mapping[str, Counter]
) -> Measured | None:
    window = (new.at - old.at).total_seconds() if old else 0.0
    if window <= 0 or not now or any(not _continues(before.get(name), counter) for name, counter in now.items()):
        return None
    usage = {n: Usage(int((c.cpu - before[n].cpu) / window), c.memory) for n, c in now.items()}
    return Measured(new.at, window, usage)


def _continues(before: Counter | None, now: Counter) -> bool:
    """Whether the counter has not begun anew in between."""
    return before is not None and before.cpu <= now.cpu and before.started == now.started


def total(usages: Iterable[Usage]) -> Usage:
    found = list(usages)
    return Usage(sum(u.cpu for u in found), sum(u.memory for u in found))
