"""Which pods to delete first when there are too many.

Source of the order: the ReplicaSet documentation and kubernetes/pkg/controller's ranking of active pods.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from controllers.lib.pods import is_active, is_ready, phase_of, ready_since
from kubeling.api.meta import Object, annotations_of, parse_time, uid_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(pods: Sequence[Object], related: Iterable[Object], now: datetime) -> list[Object]:
    """The pods, first to go first. ``related``: all pods of the same owner's owner, to spread over nodes."""
    on_node = Counter(node_of(pod) for pod in related if is_active(pod))

    def compare(a: Object, b: Object) -> int:
        return _compare(a, b, on_node, now)

    return sorted(pods, key=functools.cmp_to_key(compare))


def node_of(pod: Object) -> str:
    return (pod.get("spec") or {}).get("nodeName") or ""


def deletion_cost(pod: Object) -> int:
    """The annotation's value; 0 where it is missing or no 32-bit number in canonical form."""
    text = annotations_of(pod).get(DELETION_COST, "0")
    try:
        cost = int(text)
    except ValueError:
        return 0
    return cost if str(cost) == text and -(2**31) <= cost < 2**31 else 0


def _compare(a: Object, b: Object, on_node: Counter[str], now: datetime) -> int:
    first, second = _simple_key(a, on_node), _simple_key(b, on_node)
    if first != second:
        return -1 if first < second else 1
    newer_ready = _younger_first(ready_since(a), ready_since(b), a, b, now)
    if newer_ready:
        return newer_ready
    restarts = _restarts(b), _restarts(a)
    if restarts[0] != restarts[1]:
        return -1 if restarts[0] < restarts[1] else 1
    return _younger_first(_created(a), _created(b), a, b, now)


def _simple_key(pod: Object, on_node: Counter[str]) -> tuple[Any, ...]:
    """Unassigned, by phase, not ready, cheap, crowded: smaller goes first."""
    node = node_of(pod)
    return bool(node), _PHASES.get(phase_of(pod), 2), is_ready(pod), deletion_cost(pod), -on_node[node]


def _younger_first(a: datetime | None, b: datetime | None, x: Object, y: Object, now: datetime) -> int:
    """Compares ages on a logarithmic scale, so that among pods of about the same age chance (the uid) decides."""
    if a == b:
        return 0
    if a is None or b is None:
        return -1 if b is None else 1
    first, second = _magnitude(a, now), _magnitude(b, now)
    if first == second:
        return -1 if uid_of(x) < uid_of(y) else 1
    return -1 if first < second else 1


def _magnitude(moment: datetime, now: datetime) -> int:
    """The power of two of the age in nanoseconds; -1 where it is none."""
    age = (now - moment) // timedelta(microseconds=1) * 1000
    return int(math.log2(age)) if age > 0 else -1


def _restarts(pod: Object) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    regular = max((int(s.get("restartCount") or 0) for s in status.get("containerStatuses") or ()), default=0)
    side = (int(s.get("restartCount") or 0) for s in status.get("initContainerStatuses") or () if s["name"] in sidecars)
    return regular, max(side, default=0)


def _created(pod: Object) -> datetime | None:
    text = pod["metadata"].get("creationTimestamp")
    return parse_time(text) if text else None
