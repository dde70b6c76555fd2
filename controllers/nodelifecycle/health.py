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
    """What a node last told (its Lease's renewal and its Ready condition), and when by our own clock, in seconds."""

    renewed: str
    ready: tuple[str, str]
    heard_at: float
    fresh: bool = False  # never heard of since we know it: the longer start-up grace counts


def observe(before: Probe | None, node: Mapping[str, Any], lease: Mapping[str, Any] | None, now: float) -> Probe:
    """The probe after a look at the node; ``heard_at`` moves only when the node has told something new."""
    renewed = str(((lease or {}).get("spec") or {}).get("renewTime") or "")
    condition = condition_of(node, "Ready") or {}
    ready = (str(condition.get("lastHeartbeatTime") or ""), str(condition.get("status") or ""))
    if before is None:
        return Probe(renewed, ready, now, fresh=not condition)
    if renewed != before.renewed or (ready != before.ready and ready[1] != "Unknown"):
        return Probe(renewed, ready, now)
    return Probe(renewed, ready, before.heard_at, before.fresh)


def is_silent(probe: Probe, now: float, grace: float, startup_grace: float) -> bool:
    return now > probe.heard_at + (startup_grace if probe.fresh else grace)


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
