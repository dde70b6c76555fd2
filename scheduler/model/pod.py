"""A pod, with what the scheduler needs of it worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kubeling.api.meta import Key, Object, is_deleting, key_of, labels_of, uid_of
from kubeling.api.placement import NodeTerm, node_term, node_terms, required_nodes
from scheduler.model.images import with_tag
from scheduler.model.resources import Amounts, assumed_requests, pod_requests
from scheduler.model.terms import Affinity, Weighted, pod_affinity

HostPort = tuple[str, str, int]
"""Host address, protocol, port."""


@dataclass(eq=False)
class PodInfo:
    """A version of a pod. Immutable once made; a changed pod is a new one."""

    obj: Object

    def __post_init__(self) -> None:
        self.key: Key = key_of(self.obj)
        self.uid = uid_of(self.obj) or str(self.key)
        self.namespace = self.key.namespace
        self.labels: Mapping[str, str] = labels_of(self.obj)
        self.spec: Mapping[str, Any] = self.obj.get("spec") or {}
        self.priority = int(self.spec.get("priority") or 0)
        self.deleting = is_deleting(self.obj)

    @property
    def node_name(self) -> str:
        """The node that it is bound to; empty before."""
        return self.spec.get("nodeName") or ""

    @property
    def nominated_node(self) -> str:
        return (self.obj.get("status") or {}).get("nominatedNodeName") or ""

    @property
    def finished(self) -> bool:
        return (self.obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")

    @property
    def tolerations(self) -> list[Mapping[str, Any]]:
        return self.spec.get("tolerations") or []

    @cached_property
    def requests(self) -> Amounts:
        return pod_requests(self.spec)

    @cached_property
    def assumed(self) -> tuple[int, int]:
        """CPU and memory for comparing nodes."""
        return assumed_requests(self.spec)

    @cached_property
    def ports(self) -> tuple[HostPort, ...]:
        """The host ports that it takes."""
        host = bool(self.spec.get("hostNetwork"))
        sidecars = [c for c in self.spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
        return tuple(
            (p.get("hostIP") or "0.0.0.0", p.get("protocol") or "TCP", int(number))
            for c in (*(self.spec.get("containers") or ()), *sidecars)
            for p in c.get("ports") or ()
            if (number := p.get("hostPort") or (p.get("containerPort") if host else 0))
        )

    @cached_property
    def affinity(self) -> Affinity:
        return pod_affinity(self.spec, self.namespace)

    @cached_property
    def node_selector(self) -> Mapping[str, str]:
        return self.spec.get("nodeSelector") or {}

    @cached_property
    def required_nodes(self) -> tuple[NodeTerm, ...] | None:
        """Node affinity terms, any of which must hold; None without such affinity."""
        return node_terms(required_nodes(self.spec))

    @cached_property
    def preferred_nodes(self) -> tuple[Weighted, ...]:
        side = (self.spec.get("affinity") or {}).get("nodeAffinity") or {}
        terms = side.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        return tuple(Weighted(int(t["weight"]), node_term(t["preference"])) for t in terms)

    @cached_property
    def images(self) -> tuple[str, ...]:
        return tuple(with_tag(c.get("image") or "") for c in self._all_containers())

    def _all_containers(self) -> Iterable[Mapping[str, Any]]:
        yield from self.spec.get("initContainers") or ()
        yield from self.spec.get("containers") or ()

    def fits_node_affinity(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether nodeSelector and required node affinity hold on a node."""
        if any(labels.get(k) != v for k, v in self.node_selector.items()):
            return False
        return self.required_nodes is None or any(t.matches(name, labels) for t in self.required_nodes)

    def assigned_to(self, node: str) -> PodInfo:
        """This pod as it will be once bound."""
        return PodInfo({**self.obj, "spec": {**self.spec, "nodeName": node}})
