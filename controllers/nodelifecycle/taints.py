"""The taints that a node's state asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubeling.api.meta import Object, condition_of, labels_of, rfc3339

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# condition: {status: key of the NoSchedule taint}
_BY_CONDITION = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
# the label that counts, and its older name, which follows it
_RENAMED_LABELS = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}
_OURS = {key for keys in _BY_CONDITION.values() for key in keys.values()} | {UNSCHEDULABLE}


def taints_of(node: Mapping[str, Any]) -> list[Object]:
    return list((node.get("spec") or {}).get("taints") or ())


def no_schedule(node: Mapping[str, Any], now: datetime) -> list[Object]:
    """All taints of the node with the NoSchedule ones as its conditions and ``unschedulable`` ask for."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    found = (_BY_CONDITION.get(c["type"], {}).get(c["status"]) for c in conditions)
    wanted = [key for key in found if key is not None]
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.append(UNSCHEDULABLE)
    before = taints_of(node)
    kept = [t for t in before if t.get("effect") != "NoSchedule" or t["key"] not in _OURS or t["key"] in wanted]
    there = {t["key"] for t in kept if t.get("effect") == "NoSchedule"}
    added = [{"key": k, "effect": "NoSchedule", "timeAdded": rfc3339(now)} for k in wanted if k not in there]
    return kept + added


def evicting_taint(node: Mapping[str, Any]) -> str:
    """The key of the NoExecute taint that the node's readiness asks for; empty when it is ready, or never told."""
    condition = condition_of(node, "Ready")
    return _BY_CONDITION["Ready"].get(condition["status"], "") if condition is not None else ""


def with_evicting(node: Mapping[str, Any], key: str, now: datetime) -> list[Object]:
    """The node's taints with that NoExecute taint of ours and no other; none at all for an empty key."""
    before = taints_of(node)
    ours = [t for t in before if t.get("effect") == "NoExecute" and t["key"] in (NOT_READY, UNREACHABLE)]
    kept = [t for t in before if t not in ours or t["key"] == key]
    if key and not any(t["key"] == key for t in ours):
        kept.append({"key": key, "effect": "NoExecute", "timeAdded": rfc3339(now)})
    return kept


def renamed_labels(node: Mapping[str, Any]) -> dict[str, str]:
    """The labels to write so that the older names say the same as those that replaced them."""
    labels = labels_of(node)
    wanted = {old: labels[new] for new, old in _RENAMED_LABELS.items() if new in labels}
    return {old: value for old, value in wanted.items() if labels.get(old) != value}
