"""Whether a node is heard of, and what its status says when it is not. Pure.

Source of the rules: kubernetes/pkg/controller/nodelifecycle and the node documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubeling.api.meta import Object, condition_of, rfc3339

WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a node last told, and when by our own clock, in seconds.

    ``renewed`` is its Lease's renewal, ``heartbeat`` its Ready condition's; None for a node without that condition.
    """

    renewed: str
    heartbeat: str | None
    heard_at: float


def observe(
    before: Probe | None, node: Mapping[str, Any], lease: Mapping[str, Any] | None, now: float, born: float
) -> Probe:
    """The probe after a look at the node; ``heard_at`` moves only when the node has told something new.

    A node that never told anything counts from its creation, ``born`` on our own clock.
    """
    renewed = str(((lease or {}).get("spec") or {}).get("renewTime") or "")
    heartbeat = heartbeat_of(node)
    if before is None:
        return Probe(renewed, heartbeat, now if renewed or heartbeat is not None else born)
    heard = renewed > before.renewed or heartbeat != before.heartbeat
    return Probe(max(renewed, before.renewed), heartbeat, now if heard else before.heard_at)


def heartbeat_of(node: Mapping[str, Any]) -> str | None:
    condition = condition_of(node, "Ready")
    return None if condition is None else str(condition.get("lastHeartbeatTime") or "")


def is_silent(probe: Probe, now: float, grace: float, startup_grace: float) -> bool:
    """True when nothing was heard for ``grace`` seconds; a node without a Ready condition has the longer one."""
    return now > probe.heard_at + (startup_grace if probe.heartbeat is None else grace)


def unknown_conditions(node: Mapping[str, Any], now: datetime) -> list[Object] | None:
    """The conditions of a silent node: all that are watched Unknown; None when they are already."""
    status = node.get("status") or {}
    conditions = [dict(c) for c in status.get("conditions") or ()]
    changed = False
    for type_ in WATCHED:
        found = next((c for c in conditions if c["type"] == type_), None)
        if found is None:
            heartbeat = node["metadata"].get("creationTimestamp")
            made = _unknown(type_, "NodeStatusNeverUpdated", "Kubelet never posted node status.", now)
            conditions.append({**made, **({"lastHeartbeatTime": heartbeat} if heartbeat else {})})
            changed = True
        elif found["status"] != "Unknown":
            found.update(_unknown(type_, "NodeStatusUnknown", "Kubelet stopped posting node status.", now))
            changed = True
    return conditions if changed else None


def _unknown(type_: str, reason: str, message: str, now: datetime) -> Object:
    return {
        "type": type_,
        "status": "Unknown",
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(now),
    }


def ready_status(node: Mapping[str, Any]) -> str:
    """True, False or Unknown."""
    condition = condition_of(node, "Ready")
    return str(condition["status"]) if condition is not None else "Unknown"
