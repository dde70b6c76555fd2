"""What changes of a node, and the events that tell of it (pkg/kubelet/nodestatus)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet.node.status import PRESSURES
from kubeling.api.meta import Object, annotations_of, labels_of

Event = tuple[str, str, str]  # type, reason, message
# of a node that is there already, only these are set anew; other --node-labels count at its creation alone
RECONCILED = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)


def reconciling(wanted: Object, found: Object) -> Object:
    """A merge patch that makes an existing node what a kubelet that starts wants of it; empty when it is."""
    labels = {k: v for k, v in labels_of(wanted).items() if k in RECONCILED and labels_of(found).get(k) != v}
    notes = {k: v for k, v in annotations_of(wanted).items() if annotations_of(found).get(k) != v}
    changed = {name: part for name, part in (("labels", labels), ("annotations", notes)) if part}
    return {"metadata": changed} if changed else {}


def status_events(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Event]:
    """Events about a status that takes the place of ``old``; a first status tells of all pressures, not of readiness."""
    events: list[Event] = []
    booted, boot = ((status.get("nodeInfo") or {}).get("bootID") for status in (old, new))
    if booted and boot and booted != boot:
        events.append(("Warning", "Rebooted", f"Node {name} has been rebooted, boot id: {boot}"))
    known = {c["type"]: c.get("status") for c in old.get("conditions") or ()}
    for condition in new["conditions"]:
        kind, status = condition["type"], condition["status"]
        if known.get(kind) != status and (kind in known or kind in PRESSURES):
            reason = _REASONS[kind][0 if status == "True" else 1]
            events.append(("Normal", reason, f"Node {name} status is now: {reason}"))
    return events


_REASONS = {
    "Ready": ("NodeReady", "NodeNotReady"),
    "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
}


def schedulable_event(name: str, unschedulable: bool) -> Event:
    reason = "NodeNotSchedulable" if unschedulable else "NodeSchedulable"
    return "Normal", reason, f"Node {name} status is now: {reason}"
