"""Who has to go when the machine runs short, and what is said of it (pkg/kubelet/eviction/helpers.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubelet.node.thresholds import MEMORY, PIDS, RESOURCES, Reading, Threshold, binary
from kubelet.pods import spec as podspec
from kubelet.pods.requests import pod_limits
from kubeling.api import quantity
from kubeling.api.meta import Object

_STORAGE = "ephemeral-storage"


@dataclass(frozen=True, slots=True)
class PodUse:
    """What a pod uses of the resource in question, and what it requested of it; ``containers`` has both by name.

    ``known``: something of it runs, so that it could be measured.
    """

    pod: Object
    used: int
    requested: int
    containers: Mapping[str, tuple[int, quantity.Quantity]] = field(default_factory=dict)
    known: bool = True


def eviction_order(uses: Iterable[PodUse], signal: str = MEMORY) -> list[PodUse]:
    """Who goes first: those above their request, the less important, those furthest above it. Critical pods never go.

    Processes are not requested: there importance comes first.
    """

    def rank(use: PodUse) -> tuple[object, ...]:
        priority = int(podspec.spec_of(use.pod).get("priority") or 0)
        if signal == PIDS:
            return priority, use.known, -use.used
        return use.known, use.used <= use.requested, priority, -(use.used - use.requested)

    return sorted((u for u in uses if not podspec.is_critical(u.pod)), key=rank)


def eviction_message(threshold: Threshold, reading: Reading, use: PodUse) -> tuple[str, dict[str, str]]:
    """As the pod's status and the Evicted event tell it, and the event's annotations."""
    resource = RESOURCES[threshold.signal]
    available = str(reading.available) if resource in ("inodes", "pids") else binary(reading.available)
    text = f"The node was low on resource: {resource}. "
    text += f"Threshold quantity: {threshold.least.shown(reading.capacity)}, available: {available}. "
    annotations: dict[str, str] = {}
    if not use.known:
        return text, annotations
    own = ((podspec.spec_of(use.pod).get("resources") or {}).get("requests") or {}).get(resource)
    if own and resource == "memory":
        name = podspec.ref_of(use.pod).name
        text += _consumption("Pod", name, use.used, quantity.parse(own), resource)
        annotations = {"offending_pod": name, "offending_pod_usage": binary(use.used)}
    above = {name: (used, asked) for name, (used, asked) in use.containers.items() if used > asked.value}
    for name, (used, asked) in above.items():
        text += _consumption("Container", name, used, asked, resource)
    return text, annotations | {
        "offending_containers": ",".join(above),
        "offending_containers_usage": ",".join(binary(used) for used, _ in above.values()),
        "starved_resource": resource,
    }


def _consumption(kind: str, name: str, used: int, asked: quantity.Quantity, resource: str) -> str:
    return f"{kind} {name} was using {binary(used)}, request is {asked}, has larger consumption of {resource}. "


def thresholds_to_act_on(met: Iterable[Threshold], since: Mapping[Threshold, float], now: float) -> list[Threshold]:
    """Those met long enough: memory first, hard before soft; ``since`` is when each was first seen met."""
    due = [t for t in met if now - since[t] >= (t.grace or 0.0)]
    return sorted(due, key=lambda t: (RESOURCES[t.signal] != "memory", t.soft, t.signal))


def storage_excess(
    pod: Object, volumes: Mapping[str, int], containers: Mapping[str, int] | None = None
) -> tuple[str, str] | None:
    """Why a pod has to go for the local storage it uses, as signal and message; None if it may stay.

    In bytes: each emptyDir volume, and each container's writable layer and logs.
    """
    containers = containers or {}
    for volume in podspec.spec_of(pod).get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and volumes.get(volume["name"], 0) > quantity.parse(limit).value > 0:
            shown = quantity.canonical(limit)
            return "emptydirfs.limit", f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{shown}". '
    on_disk = sum(size for name, size in volumes.items() if name in disk_volumes(pod))
    total = pod_limits(pod).get(_STORAGE)
    if total is not None and on_disk + sum(containers.values()) > total.value:
        message = f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
        return "ephemeralpodfs.limit", message
    for container in podspec.containers(pod):
        limit = storage_limit(container)
        if limit and containers.get(container["name"], 0) > quantity.parse(limit).value > 0:
            shown = quantity.canonical(limit)
            message = f'Container {container["name"]} exceeded its local ephemeral storage limit "{shown}". '
            return "ephemeralcontainerfs.limit", message
    return None


def storage_limit(container: Mapping[str, Any]) -> str:
    text: str = ((container.get("resources") or {}).get("limits") or {}).get(_STORAGE) or ""
    return text


def disk_volumes(pod: Object) -> set[str]:
    """Names of the emptyDir volumes that are not in memory."""
    return {
        v["name"]
        for v in podspec.spec_of(pod).get("volumes") or ()
        if v.get("emptyDir") is not None and not v["emptyDir"].get("medium")
    }
