"""The Node object and its status: pure functions of what the machine and the runtime say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from kubelet.node.machine import Machine
from kubelet.node.thresholds import Amount, binary
from kubelet.runtime.records import ImageRecord
from kubeling.api import quantity
from kubeling.api.meta import Object, rfc3339

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
_MAX_IMAGES, _MAX_NAMES = 50, 5


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What the options say about the node. ``reserved``, and what hard eviction keeps free, are taken off its capacity."""

    name: str
    ip: str
    port: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Object, ...] = ()
    max_pods: int = 110
    pod_cidr: str = ""
    version: str = "v1.36.0"
    reserved: Mapping[str, str] = field(default_factory=dict)
    kept_free: Mapping[str, Amount] = field(default_factory=dict)
    provider_id: str = ""
    unschedulable: bool = False
    register: bool = True
    max_images: int = _MAX_IMAGES
    recursive_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Pressure:
    """Conditions of the eviction manager."""

    memory: bool = False
    disk: bool = False
    pid: bool = False


def capacity(machine: Machine, settings: NodeSettings) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": binary(machine.disk),
        **{f"hugepages-{size}": binary(amount) for size, amount in sorted(machine.huge_pages.items())},
        "memory": binary(machine.memory),
        "pods": str(settings.max_pods),
    }


def allocatable(machine: Machine, settings: NodeSettings) -> dict[str, str]:
    """Capacity without what is reserved and what hard eviction keeps free; huge pages are no memory for pods."""
    whole = {name: quantity.parse(text) for name, text in capacity(machine, settings).items()}
    result = {}
    for name, amount in whole.items():
        free = settings.kept_free.get(name, Amount()).of(amount.integer())
        left = amount.value - quantity.parse(settings.reserved.get(name, "0")).value - free
        if name == "memory":
            left -= sum(machine.huge_pages.values())
        result[name] = str(quantity.Quantity(max(Decimal(0), left), amount.format))
    return result


def reservation_problem(machine: Machine, settings: NodeSettings) -> str:
    """Why more is kept from pods than there is, empty if that is not so."""
    found = []
    for name, text in capacity(machine, settings).items():
        whole = quantity.parse(text)
        free = settings.kept_free.get(name, Amount()).of(whole.integer())
        kept = quantity.Quantity(quantity.parse(settings.reserved.get(name, "0")).value + free)
        if kept.value > whole.value:
            found.append(
                f'Resource "{name}" has a reservation of {kept} but capacity of {whole}. Expected capacity >= reservation.'
            )
    return f"invalid Node Allocatable configuration. {' '.join(found)}" if found else ""


def new_node(settings: NodeSettings, machine: Machine) -> Object:
    """The object that a kubelet registers, without its status."""
    labels = default_labels(settings, machine)
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": settings.name,
            "labels": {**labels, **settings.labels},
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {},
    }
    if settings.taints:
        node["spec"]["taints"] = list(settings.taints)
    if settings.provider_id:
        node["spec"]["providerID"] = settings.provider_id
    if settings.unschedulable:
        node["spec"]["unschedulable"] = True
    return node


def default_labels(settings: NodeSettings, machine: Machine) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": settings.name,
        "kubernetes.io/os": "linux",
    }


def node_status(
    old: Mapping[str, Any],
    settings: NodeSettings,
    machine: Machine,
    runtime: Mapping[str, Any],
    images: Iterable[ImageRecord],
    *,
    now: datetime,
    pressure: Pressure,
    not_ready: str = "",
) -> Object:
    """The whole status; ``not_ready`` says why the node cannot run pods, empty when it can. ``old`` keeps transition times."""
    return {
        "addresses": [
            {"type": "InternalIP", "address": settings.ip},
            {"type": "Hostname", "address": settings.name},
        ],
        "allocatable": allocatable(machine, settings),
        "capacity": capacity(machine, settings),
        "conditions": _conditions(old, now, pressure, not_ready),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
        "images": image_list(images, settings.max_images),
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id,
            "containerRuntimeVersion": runtime.get("runtime", ""),
            "kernelVersion": runtime.get("kernel", ""),
            "kubeProxyVersion": "",
            "kubeletVersion": settings.version,
            "machineID": machine.machine_id,
            "operatingSystem": "linux",
            "osImage": runtime.get("os_image", ""),
            "systemUUID": machine.system_uuid,
            **({"swap": {"capacity": machine.swap}} if machine.swap else {}),
        },
        "runtimeHandlers": [
            {
                **({"name": name} if name else {}),
                "features": {"recursiveReadOnlyMounts": settings.recursive_read_only, "userNamespaces": False},
            }
            for name in ("", *runtime.get("handlers", ()))
        ],
        "features": {"supplementalGroupsPolicy": True},
    }


def image_list(images: Iterable[ImageRecord], most: int = _MAX_IMAGES) -> list[Object]:
    """The largest images first, with at most five names each; ``most`` of -1 is all of them."""
    named = [(i, [*i.digests, *i.tags][:_MAX_NAMES]) for i in images]
    found = sorted(((i, names) for i, names in named if names), key=lambda pair: -pair[0].size)
    return [{"names": names, "sizeBytes": image.size} for image, names in (found if most < 0 else found[:most])]


def _conditions(old: Mapping[str, Any], now: datetime, pressure: Pressure, not_ready: str) -> list[Object]:
    memory = ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
    disk = ("KubeletHasDiskPressure", "kubelet has disk pressure")
    pid = ("KubeletHasInsufficientPID", "kubelet has insufficient PID available")
    rows = (
        (
            "MemoryPressure",
            pressure.memory,
            memory,
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        ("DiskPressure", pressure.disk, disk, ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
        ("PIDPressure", pressure.pid, pid, ("KubeletHasSufficientPID", "kubelet has sufficient PID available")),
        ("Ready", not not_ready, ("KubeletReady", "kubelet is posting ready status"), ("KubeletNotReady", not_ready)),
    )
    known = {c["type"]: c for c in old.get("conditions") or ()}
    result = []
    for type_, holds, when_true, when_false in rows:
        status = "True" if holds else "False"
        reason, message = when_true if holds else when_false
        before = known.get(type_)
        same = before is not None and before.get("status") == status and before.get("lastTransitionTime")
        result.append(
            {
                "type": type_,
                "status": status,
                "lastHeartbeatTime": rfc3339(now),
                "lastTransitionTime": same or rfc3339(now),
                "reason": reason,
                "message": message,
            }
        )
    return result


def differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether anything but heartbeats has changed; what is empty is not in what the API server stores."""

    def told(status: Mapping[str, Any]) -> Object:
        conditions = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in status.get("conditions") or ()]
        return {**{k: status.get(k) or None for k in new}, "conditions": conditions}

    return told(old) != told(new)
