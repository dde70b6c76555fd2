"""What a scheduling decision looks at. Deciding is synchronous and changes nothing: this is the live state, not a copy of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from kubeling.api.meta import Object
from scheduler.model.counts import Counts, NamespaceLabels, Question
from scheduler.model.node import NodeInfo
from scheduler.model.pod import PodInfo


class Listers(Protocol):
    """Objects of other kinds that plugins look at, as the informers have them."""

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """``kind`` as in ``PersistentVolumeClaim``."""

    def list(self, kind: str, namespace: str = "") -> list[Object]: ...


class NoListers:
    """A world without such objects."""

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        return None

    def list(self, kind: str, namespace: str = "") -> list[Object]:
        return []


class Snapshot(Protocol):
    """Read-only."""

    listers: Listers

    @property
    def nodes(self) -> Sequence[NodeInfo]:
        """Every node, in a stable order."""

    def node(self, name: str) -> NodeInfo | None: ...

    def count(self, question: Question) -> Mapping[str, int]:
        """How many such pods each node has, without zeros."""

    def with_affinity(self) -> Iterable[tuple[NodeInfo, PodInfo]]:
        """Pods that have pod (anti-)affinity of their own, with their nodes."""

    def nominated(self, node: str) -> Iterable[PodInfo]:
        """Pods for which place was made on the node and that are not on it yet."""

    def image_nodes(self, image: str) -> int:
        """How many nodes have the image."""

    def namespace_labels(self, namespace: str) -> Mapping[str, str]: ...


class Trial:
    """A snapshot in which one node has other pods: what would be if some were evicted or others were there."""

    def __init__(
        self, base: Snapshot, node: NodeInfo, counts: Callable[[Question, NodeInfo], int] | None = None
    ) -> None:
        self._base = base
        self._node = node
        self.listers = base.listers
        self._count = counts or Counts(base.namespace_labels).on

    @property
    def nodes(self) -> Sequence[NodeInfo]:
        return [self._node if n.name == self._node.name else n for n in self._base.nodes]

    def node(self, name: str) -> NodeInfo | None:
        return self._node if name == self._node.name else self._base.node(name)

    def count(self, question: Question) -> Mapping[str, int]:
        return {**self._base.count(question), self._node.name: self._count(question, self._node)}

    def with_affinity(self) -> Iterable[tuple[NodeInfo, PodInfo]]:
        yield from (pair for pair in self._base.with_affinity() if pair[0].name != self._node.name)
        yield from ((self._node, pod) for pod in self._node.with_affinity.values())

    def nominated(self, node: str) -> Iterable[PodInfo]:
        return self._base.nominated(node)

    def image_nodes(self, image: str) -> int:
        return self._base.image_nodes(image)

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return self._base.namespace_labels(namespace)


__all__ = ["Listers", "NamespaceLabels", "NoListers", "Snapshot", "Trial"]
