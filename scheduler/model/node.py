"""A node with the pods on it and the sums that filters and scores need, kept up to date pod by pod."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeling.api.meta import Object, labels_of, name_of
from scheduler.model.images import with_tag
from scheduler.model.pod import HostPort, PodInfo
from scheduler.model.resources import Amounts, amounts

_NO_NODE: Object = {"metadata": {}}


class NodeInfo:
    """``node`` may be missing: pods can be seen before (or after) their node."""

    __slots__ = (
        "allocatable", "allowed_pods", "assumed_cpu", "assumed_memory", "images", "labels", "name", "node", "pods", "ports",
        "requested", "taints", "unschedulable", "with_affinity",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.pods: dict[str, PodInfo] = {}
        self.requested: Amounts = {}
        self.assumed_cpu = 0
        self.assumed_memory = 0
        self.ports: dict[HostPort, int] = {}
        self.with_affinity: dict[str, PodInfo] = {}
        self.set_node(None)

    def set_node(self, node: Object | None) -> None:
        """Takes over a version of the node; None when it has gone."""
        self.node = node
        known = node or _NO_NODE
        spec, status = known.get("spec") or {}, known.get("status") or {}
        self.labels: Mapping[str, str] = labels_of(known)
        self.taints: list[Mapping[str, Any]] = spec.get("taints") or []
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = amounts(status.get("allocatable"))
        self.allowed_pods = self.allocatable.get("pods", 0)
        self.images = {
            with_tag(name): int(image.get("sizeBytes") or 0)
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }

    @classmethod
    def of(cls, node: Object, pods: Iterable[PodInfo] = ()) -> NodeInfo:
        info = cls(name_of(node))
        info.set_node(node)
        for pod in pods:
            info.add(pod)
        return info

    def copy(self) -> NodeInfo:
        """An independent copy, for trying out what would be with other pods."""
        other = NodeInfo.__new__(NodeInfo)
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(other, name, dict(value) if name in ("pods", "requested", "ports", "with_affinity") else value)
        return other

    def add(self, pod: PodInfo) -> None:
        self._count(pod, 1)
        self.pods[pod.uid] = pod
        affinity = pod.affinity
        if affinity.required or affinity.preferred or affinity.anti_required or affinity.anti_preferred:
            self.with_affinity[pod.uid] = pod

    def remove(self, uid: str) -> PodInfo | None:
        """Takes a pod off; None when it is not here."""
        pod = self.pods.pop(uid, None)
        if pod is not None:
            self._count(pod, -1)
            self.with_affinity.pop(uid, None)
        return pod

    def _count(self, pod: PodInfo, sign: int) -> None:
        requested = self.requested
        for name, amount in pod.requests.items():
            requested[name] = requested.get(name, 0) + sign * amount
        cpu, memory = pod.assumed
        self.assumed_cpu += sign * cpu
        self.assumed_memory += sign * memory
        for port in pod.ports:
            left = self.ports.get(port, 0) + sign
            if left:
                self.ports[port] = left
            else:
                self.ports.pop(port, None)
